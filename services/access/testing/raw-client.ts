/**
 * A client for tests that can also speak wrongly: raw frames over each of the long ways in, raw bodies
 * over HTTP.
 */
import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { request as httpsRequest } from "node:https";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { WebSocket } from "ws";
import {
  type ClientFrame,
  decodeServerFrame,
  encodeClientFrame,
  type ServerFrame,
} from "../../../protos/gen/tricampus/client/v1/frame_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { LengthPrefixedReader, lengthPrefixed } from "../../svrkit/transport/length-prefixed.ts";
import { FRAME_BYTES_MAX } from "../limits.ts";
import { CLIENT_METHODS } from "../methods.ts";

/** What a client sees of an operation: a response, or an error. */
export type Seen = { ok: JsonValue } | { code: string; message: string; retryable: boolean };

export interface RawDoor {
  /** "http://..." or "https://..." */
  readonly url: string;
  /** PEM, of the authority behind https. */
  readonly ca?: string;
}

/** Frames over some long way in. */
export abstract class RawFrames {
  readonly frames: ServerFrame[] = [];
  #wake: () => void = () => {};
  #nextId = 1;

  abstract send(bytes: Uint8Array): void;
  abstract close(): void;

  protected arrived(bytes: Uint8Array): void {
    this.frames.push(fromBytes(decodeServerFrame, bytes));
    this.#wake();
  }

  /** Waits for a frame that fits, and takes it out. */
  async take(fits: (frame: ServerFrame) => boolean, timeoutMs = 3_000): Promise<ServerFrame> {
    const giveUpMs = performance.now() + timeoutMs;
    for (;;) {
      const at = this.frames.findIndex(fits);
      if (at >= 0) return this.frames.splice(at, 1)[0]!;
      const leftMs = giveUpMs - performance.now();
      if (leftMs <= 0) throw new Error("no such frame came");
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  ask(kind: ClientFrame["kind"], timeoutMs?: number): Promise<ServerFrame> {
    const id = this.#nextId++;
    this.send(toBytes(encodeClientFrame, { takesParts: false, id, kind }));
    return this.take((frame) => frame.id === id, timeoutMs);
  }

  request(method: string, body: Uint8Array): Promise<ServerFrame> {
    return this.ask({ case: "request", value: { method, body, trace: false, late: false } });
  }

  attach(
    ticket: Uint8Array,
    facts: { snapshot?: Uint8Array; wantPush?: boolean } = {},
  ): Promise<ServerFrame> {
    const { snapshot = new Uint8Array(0), wantPush = false } = facts;
    return this.ask({ case: "attach", value: { ticket, snapshot, wantPush } });
  }

  async ping(timeoutMs?: number): Promise<string | undefined> {
    return (await this.ask({ case: "ping", value: {} }, timeoutMs)).kind?.case;
  }
}

export class RawSocket extends RawFrames {
  readonly webSocket: WebSocket;
  readonly closed: Promise<number>;

  private constructor(webSocket: WebSocket) {
    super();
    this.webSocket = webSocket;
    this.closed = new Promise((resolve) => webSocket.on("close", resolve));
    webSocket.on("error", () => {});
    webSocket.on("message", (data) => this.arrived(data as Buffer));
  }

  static open(url: string, options: { ca?: string } = {}): Promise<RawSocket> {
    const webSocket = new WebSocket(`${url.replace("http", "ws")}/v1/connect`, options);
    const socket = new RawSocket(webSocket);
    return new Promise((resolve, reject) => {
      webSocket.on("open", () => resolve(socket));
      webSocket.on("error", reject);
    });
  }

  send(bytes: Uint8Array): void {
    this.webSocket.send(bytes);
  }

  close(): void {
    this.webSocket.terminate();
  }
}

export class RawTcp extends RawFrames {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;

  private constructor(socket: Socket) {
    super();
    this.socket = socket;
    const reader = new LengthPrefixedReader(FRAME_BYTES_MAX);
    socket.on("data", (chunk: Buffer) => {
      for (const frame of reader.push(chunk)!) {
        if (frame.length === 0) socket.write(lengthPrefixed(frame));
        else this.arrived(frame);
      }
    });
    socket.on("error", () => {});
    this.closed = once(socket, "close");
  }

  static async open({ url, ca }: RawDoor): Promise<RawTcp> {
    const { hostname: host, port } = new URL(url);
    const to = { host, port: Number(port) };
    const socket = ca === undefined ? connect(to) : connectTls({ ...to, ca });
    await once(socket, ca === undefined ? "connect" : "secureConnect");
    socket.write(Buffer.from([0, 0x54, 0x43, 1]));
    return new RawTcp(socket);
  }

  send(bytes: Uint8Array): void {
    this.socket.write(lengthPrefixed(bytes));
  }

  close(): void {
    this.socket.destroy();
  }
}

export class RawPoll extends RawFrames {
  readonly door: RawDoor;
  readonly path: string;
  #sent = 0;
  #sending: Promise<unknown> = Promise.resolve();
  #isOpen = true;

  private constructor(door: RawDoor, session: string) {
    super();
    this.door = door;
    this.path = `/v1/poll/${session}`;
    void this.#receive();
  }

  static async open(door: RawDoor): Promise<RawPoll> {
    const { body } = await exchange(door, { method: "POST", path: "/v1/poll" });
    return new RawPoll(door, (JSON.parse(body.toString()) as { session: string }).session);
  }

  send(bytes: Uint8Array): void {
    const path = `${this.path}/${++this.#sent}`;
    const body = lengthPrefixed(bytes);
    const post = () => exchange(this.door, { method: "POST", path, body });
    this.#sending = this.#sending.then(post);
  }

  close(): void {
    this.#isOpen = false;
    this.#sending = this.#sending.then(() =>
      exchange(this.door, { method: "DELETE", path: this.path }),
    );
  }

  async #receive(): Promise<void> {
    for (let number = 1; this.#isOpen; number++) {
      const answer = await exchange(this.door, { method: "GET", path: `${this.path}/${number}` });
      if (answer.status !== 200) return;
      const frames = new LengthPrefixedReader(FRAME_BYTES_MAX).push(answer.body)!;
      for (const frame of frames) this.arrived(frame);
    }
  }
}

/** The long ways in, by name. */
export const LONG_WAYS: Readonly<Record<string, (door: RawDoor) => Promise<RawFrames>>> = {
  WebSocket: (door) => RawSocket.open(door.url, door.ca === undefined ? {} : { ca: door.ca }),
  "framed TCP": (door) => RawTcp.open(door),
  "long poll": (door) => RawPoll.open(door),
};

interface Operation {
  readonly name: string;
  readonly request: JsonValue;
  readonly ticket: Uint8Array;
}

/** The operation over a long connection of its own, with the ticket attached if there is one. */
export async function overLongWay(
  open: () => Promise<RawFrames>,
  { name, request, ticket }: Operation,
): Promise<Seen> {
  const connection = await open();
  try {
    if (ticket.length > 0) {
      const attached = await connection.attach(ticket);
      if (attached.kind?.case === "failure") return attached.kind.value;
    }
    const method = CLIENT_METHODS.get(name);
    const body =
      method === undefined
        ? new Uint8Array(0)
        : toBinary(method.request, fromJson(method.request, request));
    const { kind } = await connection.request(name, body);
    if (kind?.case === "failure") return kind.value;
    if (kind?.case !== "body" || method === undefined) throw new Error(`answered by ${kind?.case}`);
    return { ok: toJson(method.response, fromBinary(method.response, kind.value)) };
  } finally {
    connection.close();
  }
}

/** The same over HTTP. */
export async function overHttp(door: RawDoor, { name, request, ticket }: Operation): Promise<Seen> {
  const { status, json } = await post(door, name, JSON.stringify(request), ticket);
  if (status === 200) return { ok: json };
  return json as Seen;
}

export async function post(
  door: RawDoor,
  name: string,
  body: string | Uint8Array,
  ticket: Uint8Array,
  headers: Record<string, string> = {},
): Promise<{ status: number; json: JsonValue }> {
  const authorization: Record<string, string> =
    ticket.length === 0
      ? {}
      : { authorization: `Bearer ${Buffer.from(ticket).toString("base64url")}` };
  const given = { "content-type": "application/json", ...authorization, ...headers };
  const exchanged = { method: "POST", path: `/v1/${name}`, body, headers: given };
  const answer = await exchange(door, exchanged);
  return { status: answer.status, json: JSON.parse(answer.body.toString()) as JsonValue };
}

interface Exchanged {
  readonly method: string;
  readonly path: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Record<string, string>;
}

/** One HTTP request on a connection of its own. */
export function exchange(
  { url, ca }: RawDoor,
  { method, path, body = "", headers = {} }: Exchanged,
): Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }> {
  const ask = ca === undefined ? httpRequest : httpsRequest;
  return new Promise((resolve, reject) => {
    const length = { "content-length": String(Buffer.byteLength(body)) };
    const options = { method, headers: { ...length, ...headers }, agent: false, ca };
    const request = ask(`${url}${path}`, options, async (response) => {
      const chunks = await response.toArray();
      const { statusCode: status = 0, headers: received } = response;
      resolve({ status, headers: received, body: Buffer.concat(chunks) });
    });
    request.on("error", reject);
    request.end(body);
  });
}
