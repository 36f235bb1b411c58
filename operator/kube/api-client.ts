/**
 * Requests to the Kubernetes API server: JSON in, JSON out, and watch streams line by line.
 *
 * Why not a generated client: its serialisers drop fields that they do not know, and with server-side
 * apply a field that is not sent is a field that is given up. Here objects are what they are on the
 * wire. HTTP/1.1 with kept connections, one socket a watch; the number of sockets bounds what is
 * under way. When the server says that it is busy, what was asked waits as long as it says, and so does what is like
 * it; watches, lists and renewals of the Lease each have a pace of their own, and none of them holds up another.
 */
import { type Agent, type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import type { Socket } from "node:net";
import { StringDecoder } from "node:string_decoder";
import { rest } from "../../services/svrkit/rest.ts";
import type { Connection } from "./connection.ts";
import type { KubeObject } from "./object.ts";

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** "/api/v1/namespaces/x/pods?limit=1" */
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  /** The answer's metadata is enough: half of the bytes, of objects with a spec. */
  readonly metadataOnly?: boolean;
  /** Until the answer's end. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /**
   * The caller paces itself: it waits neither for a pause that the server asked of others nor for a free connection,
   * and what the server asks of it is nobody else's pause.
   */
  readonly isPaced?: boolean;
  /** Throws when it is not to be sent any more; asked while it waits, and right before it leaves. */
  readonly mayLeave?: () => void;
}

/** What is asked once and answered once. */
export type Requests = Pick<ApiClient, "request" | "write" | "carryOut">;

/** The same for whoever may ask for a while only: what waits for a busy server or a connection is not sent late. */
export function whileAllowed(client: Requests, mayLeave: () => void): Requests {
  return {
    request: (asked) => client.request({ ...asked, mayLeave }),
    write: (asked) => client.write({ ...asked, mayLeave }),
    carryOut: (asked) => client.carryOut({ ...asked, mayLeave }),
  };
}

/** What the server answered instead of what was asked for; status 0: it did not answer. */
export class ApiError extends Error {
  readonly status: number;
  /** "Conflict", "Expired", "NotFound" ... */
  readonly reason: string;
  readonly retryAfterMs: number | undefined;

  constructor(
    message: string,
    facts: { status: number; reason?: string; retryAfterMs?: number | undefined },
  ) {
    super(message);
    this.name = "ApiError";
    this.status = facts.status;
    this.reason = facts.reason ?? "";
    this.retryAfterMs = facts.retryAfterMs;
  }

  get isNotFound(): boolean {
    return this.status === 404;
  }

  get isConflict(): boolean {
    return this.status === 409;
  }

  /**
   * The server has understood who asks for what, and takes it from nobody as it is: a field that it does not
   * know, a quota, a webhook that says no or fails. Others' requests may succeed meanwhile.
   */
  get isRefusal(): boolean {
    return REFUSALS.has(this.status);
  }

  /** The resource version asked for is not kept any more. */
  get isExpired(): boolean {
    return this.status === 410;
  }
}

const REFUSALS: ReadonlySet<number> = new Set([400, 403, 404, 405, 413, 422, 500]);

const ACCEPT = "application/json";
const ACCEPT_METADATA = `application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,${ACCEPT}`;

const TIMEOUT_MS = 15_000;
/** Longest pause that a server may ask for. */
const RETRY_AFTER_MS_MAX = 30_000;
/** Who waits for a busy server is asked so often whether to go on. */
const LOOK_MS = 100;

export class ApiClient {
  readonly #connection: Connection;
  /** Where every request goes, taken apart once. */
  readonly #server: { readonly hostname: string; readonly port: string };
  /** Of every path, "" as a rule: some proxies before API servers have one. */
  readonly #prefix: string;
  readonly #agent: Agent;
  /** Without a bound: for watches, and for those who pace themselves. */
  readonly #freeAgent: Agent;
  #busyUntilMs = 0;
  /** Requests sent, watches included, by method: for metrics and for goals on idle traffic. */
  readonly sent: Record<string, number> = { GET: 0, POST: 0, PATCH: 0, DELETE: 0, WATCH: 0 };
  /** When a request other than a watch was answered last, whatever the answer: monotonic milliseconds. */
  answeredAtMs = Number.NEGATIVE_INFINITY;
  /** Told of every request before it is sent, watches too; tests let an operator die at one of them. */
  onRequest: ((request: ApiRequest) => void) | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
    const { hostname, port, pathname } = new URL(connection.base);
    this.#server = { hostname: hostname.replace(/^\[|\]$/g, ""), port };
    this.#prefix = pathname.replace(/\/$/, "");
    this.#agent = connection.newAgent(connection.socketsMax ?? 16);
    this.#freeAgent = connection.newAgent(Number.POSITIVE_INFINITY);
  }

  stop(): void {
    this.#agent.destroy();
    this.#freeAgent.destroy();
  }

  /** The answer's JSON; throws an ApiError for everything that is no success. */
  async request<T = KubeObject>(asked: ApiRequest): Promise<T> {
    const text = await this.#ask(asked, readAll);
    return (text === "" ? {} : JSON.parse(text)) as T;
  }

  /** The same of a write of which only the version is wanted that it has made. */
  async write(asked: ApiRequest): Promise<string> {
    return versionIn(await this.#ask({ ...asked, metadataOnly: true }, readAll));
  }

  /** The same for an answer that nobody reads: it is not parsed. */
  carryOut(asked: ApiRequest): Promise<void> {
    return this.#ask(asked, drain);
  }

  async #ask<T>(asked: ApiRequest, read: (response: IncomingMessage) => Promise<T>): Promise<T> {
    const isPaced = asked.isPaced === true;
    if (!isPaced) await this.#pause(asked);
    this.onRequest?.(asked);
    this.sent[asked.method]! += 1;
    const agent = isPaced ? this.#freeAgent : this.#agent;
    const { response } = await this.#send(asked, agent, asked.timeoutMs ?? TIMEOUT_MS);
    this.answeredAtMs = performance.now();
    const status = response.statusCode ?? 0;
    if (status >= 200 && status < 300) return read(response);
    const error = errorOf(response, await readAll(response), asked);
    if (!isPaced && error.retryAfterMs !== undefined) {
      // Not all at once afterwards: up to a quarter longer.
      const untilMs = performance.now() + error.retryAfterMs * (1 + Math.random() / 4);
      this.#busyUntilMs = Math.max(this.#busyUntilMs, untilMs);
    }
    throw error;
  }

  async #pause({ mayLeave }: ApiRequest): Promise<void> {
    for (;;) {
      mayLeave?.();
      const waitMs = this.#busyUntilMs - performance.now();
      if (waitMs <= 0) return;
      await rest(Math.min(waitMs, LOOK_MS));
    }
  }

  /**
   * Calls `line` with each line of a watch; resolves when the server ends it. Rejects when it is
   * refused, breaks, or has not ended `lifeMs` after it was accepted, however much is still heard of it.
   */
  async watch(
    path: string,
    options: {
      line: (text: string) => void;
      lifeMs: number;
      signal: AbortSignal;
    },
  ): Promise<void> {
    const { line, lifeMs, signal } = options;
    const asked = { method: "GET", path, signal } as const;
    this.onRequest?.(asked);
    this.sent.WATCH! += 1;
    const { response, timer } = await this.#send(asked, this.#freeAgent, lifeMs);
    if (response.statusCode !== 200) {
      throw errorOf(response, await readAll(response), asked);
    }
    timer.refresh();
    await readLines(response, line);
  }

  /** Resolves at the headers; the timer breaks the answer off when it has not ended by then. */
  async #send(
    asked: ApiRequest,
    agent: Agent,
    timeoutMs: number,
  ): Promise<{ response: IncomingMessage; timer: NodeJS.Timeout }> {
    const { token, isTls } = this.#connection;
    const { method, path, body, contentType = "application/json", signal } = asked;
    const accept = asked.metadataOnly === true ? ACCEPT_METADATA : ACCEPT;
    const headers: Record<string, string> = { accept, "user-agent": AGENT };
    const authorization = await token?.();
    if (authorization !== undefined) headers.authorization = `Bearer ${authorization}`;
    const payload = body === undefined ? undefined : JSON.stringify(body);
    if (payload !== undefined) {
      headers["content-type"] = contentType;
      headers["content-length"] = String(Buffer.byteLength(payload));
    }
    const send = isTls ? requestTls : requestPlain;
    const place = { ...this.#server, path: `${this.#prefix}${path}` };
    const options = { ...place, method, headers, agent, ...(signal && { signal }) };
    return new Promise((resolve, reject) => {
      let answer: IncomingMessage | undefined;
      const sent = send(options, (response) => {
        answer = response;
        response.once("close", () => clearTimeout(timer));
        resolve({ response, timer });
      });
      const timer = setTimeout(() => {
        if (answer === undefined) sent.destroy(new Error(`no answer in ${timeoutMs} ms`));
        else answer.destroy(new Error(`no end of it in ${timeoutMs} ms`));
      }, timeoutMs);
      sent.on("error", (error) => {
        clearTimeout(timer);
        reject(new ApiError(`${method} ${path}: ${error.message}`, { status: 0 }));
      });
      const { mayLeave } = asked;
      if (mayLeave === undefined) {
        sent.end(payload);
        return;
      }
      const leave = () => {
        try {
          mayLeave();
          sent.end(payload);
        } catch (error) {
          reject(error);
          sent.destroy();
        }
      };
      // Not a moment earlier: it may have waited for a connection, and for that one to stand.
      sent.once("socket", (socket) => {
        if (isStanding(socket)) leave();
        else socket.once(isTls ? "secureConnect" : "connect", leave);
      });
    });
  }
}

function isStanding(socket: Socket & { secureConnecting?: boolean }): boolean {
  return !socket.connecting && socket.secureConnecting !== true;
}

const AGENT = "tricampus-operator";
const MESSAGE_MAX = 500;

function errorOf(response: IncomingMessage, text: string, { method, path }: ApiRequest): ApiError {
  const status = response.statusCode ?? 0;
  const seconds = Number(response.headers["retry-after"]);
  const isAsked = (status === 429 || status === 503) && seconds > 0;
  const retryAfterMs = isAsked ? Math.min(seconds * 1_000, RETRY_AFTER_MS_MAX) : undefined;
  const { reason, message } = statusIn(text);
  const shown = path.split("?")[0];
  return new ApiError(`${method} ${shown}: ${status} ${message}`, { status, reason, retryAfterMs });
}

function statusIn(text: string): { reason: string; message: string } {
  try {
    const { reason = "", message = "" } = JSON.parse(text) as { reason?: string; message?: string };
    return { reason, message };
  } catch {
    return { reason: "", message: text.slice(0, MESSAGE_MAX) };
  }
}

const VERSION = /"resourceVersion":"([^"\\]*)"/g;

/** Who owns which field is most of an object's metadata, and is not parsed for the one version that is in it. */
export function versionIn(text: string): string {
  const [found, another] = text.matchAll(VERSION);
  if (found !== undefined && another === undefined) return found[1]!;
  return (JSON.parse(text) as KubeObject).metadata.resourceVersion!;
}

/** By events: going through the chunks as an iterable takes a third of a short request's time. */
function readAll(response: IncomingMessage): Promise<string> {
  let text = "";
  response.setEncoding("utf8");
  response.on("data", (chunk: string) => {
    text += chunk;
  });
  return ended(response).then(() => text);
}

function drain(response: IncomingMessage): Promise<void> {
  response.resume();
  return ended(response);
}

function ended(response: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    const broken = (error: Error) =>
      reject(new ApiError(`the answer broke off: ${error.message}`, { status: 0 }));
    response.once("end", resolve);
    response.once("error", broken);
    response.once("close", () => {
      if (!response.complete) broken(new Error("the connection was closed"));
    });
  });
}

/** Resolves at the stream's end; rejects when it breaks, or `line` throws. */
function readLines(response: IncomingMessage, line: (text: string) => void): Promise<void> {
  const decoder = new StringDecoder("utf8");
  let rest = "";
  return new Promise((resolve, reject) => {
    response.on("data", (chunk: Buffer) => {
      const lines = (rest + decoder.write(chunk)).split("\n");
      rest = lines.pop()!;
      try {
        for (const text of lines) if (text !== "") line(text);
      } catch (error) {
        reject(error);
        response.destroy();
      }
    });
    response.once("end", resolve);
    const broken = (error: Error) =>
      reject(new ApiError(`the watch broke off: ${error.message}`, { status: 0 }));
    response.once("error", broken);
    response.once("close", () => broken(new Error("the connection was closed")));
  });
}
