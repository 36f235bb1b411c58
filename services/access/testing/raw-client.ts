/** A client for tests that can also speak wrongly: raw frames over WebSocket, raw bodies over HTTP. */
import { fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import { WebSocket } from "ws";
import {
  type ClientFrame,
  decodeServerFrame,
  encodeClientFrame,
  type ServerFrame,
} from "../../../protos/gen/tricampus/client/v1/frame_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { CLIENT_METHODS } from "../methods.ts";

/** What a client sees of an operation: a response, or an error. */
export type Seen = { ok: JsonValue } | { code: string; message: string; retryable: boolean };

export class RawSocket {
  readonly webSocket: WebSocket;
  readonly frames: ServerFrame[] = [];
  readonly closed: Promise<number>;
  #wake: () => void = () => {};
  #nextId = 1;

  private constructor(webSocket: WebSocket) {
    this.webSocket = webSocket;
    this.closed = new Promise((resolve) => webSocket.on("close", resolve));
    webSocket.on("error", () => {});
    webSocket.on("message", (data) => {
      this.frames.push(fromBytes(decodeServerFrame, data as Buffer));
      this.#wake();
    });
  }

  static open(url: string): Promise<RawSocket> {
    const webSocket = new WebSocket(`${url.replace("http", "ws")}/v1/connect`);
    const socket = new RawSocket(webSocket);
    return new Promise((resolve, reject) => {
      webSocket.on("open", () => resolve(socket));
      webSocket.on("error", reject);
    });
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
    this.webSocket.send(toBytes(encodeClientFrame, { id, kind }));
    return this.take((frame) => frame.id === id, timeoutMs);
  }

  request(method: string, body: Uint8Array): Promise<ServerFrame> {
    return this.ask({ case: "request", value: { method, body } });
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

  close(): void {
    this.webSocket.terminate();
  }
}

/** The operation over a WebSocket of its own, with the ticket attached if there is one. */
export async function overWebSocket(
  url: string,
  name: string,
  request: JsonValue,
  ticket: Uint8Array,
): Promise<Seen> {
  const socket = await RawSocket.open(url);
  try {
    if (ticket.length > 0) {
      const attached = await socket.attach(ticket);
      if (attached.kind?.case === "failure") return attached.kind.value;
    }
    const method = CLIENT_METHODS.get(name);
    const body =
      method === undefined
        ? new Uint8Array(0)
        : toBinary(method.request, fromJson(method.request, request));
    const { kind } = await socket.request(name, body);
    if (kind?.case === "failure") return kind.value;
    if (kind?.case !== "body" || method === undefined) throw new Error(`answered by ${kind?.case}`);
    return { ok: toJson(method.response, fromBinary(method.response, kind.value)) };
  } finally {
    socket.close();
  }
}

/** The same over HTTP; throws when status and code do not fit together. */
export async function overHttp(
  url: string,
  name: string,
  request: JsonValue,
  ticket: Uint8Array,
): Promise<Seen> {
  const { status, json } = await post(url, name, JSON.stringify(request), ticket);
  if (status === 200) return { ok: json };
  return json as Seen;
}

export async function post(
  url: string,
  name: string,
  body: string | Uint8Array<ArrayBuffer>,
  ticket: Uint8Array,
  headers: Record<string, string> = {},
): Promise<{ status: number; json: JsonValue }> {
  const authorization: Record<string, string> =
    ticket.length === 0
      ? {}
      : { authorization: `Bearer ${Buffer.from(ticket).toString("base64url")}` };
  const response = await fetch(`${url}/v1/${name}`, {
    method: "POST",
    body,
    headers: { "content-type": "application/json", ...authorization, ...headers },
  });
  return { status: response.status, json: (await response.json()) as JsonValue };
}
