/**
 * Requests to the Kubernetes API server: JSON in, JSON out, and watch streams line by line.
 *
 * Why not a generated client: its serialisers drop fields that they do not know, and with server-side
 * apply a field that is not sent is a field that is given up. Here objects are what they are on the
 * wire. HTTP/1.1 with kept connections, one socket a watch; the number of sockets bounds what is
 * under way. When the server says that it is busy, what was asked waits as long as it says, and so does what is like
 * it; watches, lists and renewals of the Lease each have a pace of their own, and none of them holds up another.
 */
import type { Dispatcher } from "undici";
import Pool from "undici/lib/dispatcher/pool.js";
import { rest } from "../../services/svrkit/rest.ts";
import type { Connection } from "./connection.ts";
import { type Answer, type Exchange, exchange, isSuccess, NoAnswer } from "./exchange.ts";
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
  /** In the server's words: what of a budget keeps a pod from being evicted now; undefined: it is not that. */
  readonly budget: string | undefined;

  constructor(
    message: string,
    facts: {
      status: number;
      reason?: string;
      retryAfterMs?: number | undefined;
      budget?: string | undefined;
    },
  ) {
    super(message);
    this.name = "ApiError";
    this.status = facts.status;
    this.reason = facts.reason ?? "";
    this.retryAfterMs = facts.retryAfterMs;
    this.budget = facts.budget;
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

/** An idle connection is kept for so long. */
const IDLE_MS = 60_000;
/** A dead peer is noticed by the kernel some 11 s after it fell silent, whatever runs on the socket. */
const SILENT_MS = 1_000;
const CONNECT_MS = 10_000;

export class ApiClient {
  readonly #token: Connection["token"];
  /** Of every path, "" as a rule: some proxies before API servers have one. */
  readonly #prefix: string;
  readonly #pool: Dispatcher;
  /** Without a bound: for watches, and for those who pace themselves. */
  readonly #freePool: Dispatcher;
  #busyUntilMs = 0;
  /** Requests sent, watches included, by method: for metrics and for goals on idle traffic. */
  readonly sent: Record<string, number> = { GET: 0, POST: 0, PATCH: 0, DELETE: 0, WATCH: 0 };
  /** When a request other than a watch was answered last, whatever the answer: monotonic milliseconds. */
  answeredAtMs = Number.NEGATIVE_INFINITY;
  /** Told of every request before it is sent, watches too; tests let an operator die at one of them. */
  onRequest: ((request: ApiRequest) => void) | undefined;

  constructor({ base, token, tls, socketsMax = 16 }: Connection) {
    this.#token = token;
    const { origin, pathname } = new URL(base);
    this.#prefix = pathname.replace(/\/$/, "");
    const options = {
      allowH2: false,
      keepAliveTimeout: IDLE_MS,
      // Each exchange has a time of its own, for all of it.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { ...tls, timeout: CONNECT_MS, keepAliveInitialDelay: SILENT_MS },
    };
    this.#pool = new Pool(origin, { ...options, connections: socketsMax });
    this.#freePool = new Pool(origin, options);
  }

  stop(): void {
    for (const pool of [this.#pool, this.#freePool]) pool.destroy(() => {});
  }

  /** The answer's JSON; throws an ApiError for everything that is no success. */
  async request<T = KubeObject>(asked: ApiRequest): Promise<T> {
    const text = await this.#ask(asked);
    return (text === "" ? {} : JSON.parse(text)) as T;
  }

  /** The same of a write of which only the version is wanted that it has made. */
  async write(asked: ApiRequest): Promise<string> {
    return versionIn(await this.#ask({ ...asked, metadataOnly: true }));
  }

  /** The same for an answer that nobody reads: it is not parsed. */
  async carryOut(asked: ApiRequest): Promise<void> {
    await this.#ask(asked, true);
  }

  async #ask(asked: ApiRequest, isUnread = false): Promise<string> {
    const isPaced = asked.isPaced === true;
    if (!isPaced) await this.#pause(asked);
    this.onRequest?.(asked);
    this.sent[asked.method]! += 1;
    const answer = await this.#send(asked, isPaced ? this.#freePool : this.#pool, {
      timeoutMs: asked.timeoutMs ?? TIMEOUT_MS,
      answered: this.#answered,
      isUnread,
    });
    if (isSuccess(answer.status)) return answer.text;
    const error = errorOf(answer, asked);
    // When to ask a budget again says nothing of how busy the server is.
    if (!isPaced && error.retryAfterMs !== undefined && error.budget === undefined) {
      // Not all at once afterwards: up to a quarter longer.
      const untilMs = performance.now() + error.retryAfterMs * (1 + Math.random() / 4);
      this.#busyUntilMs = Math.max(this.#busyUntilMs, untilMs);
    }
    throw error;
  }

  readonly #answered = () => {
    this.answeredAtMs = performance.now();
  };

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
    const answer = await this.#send(asked, this.#freePool, { timeoutMs: lifeMs, line });
    if (!isSuccess(answer.status)) throw errorOf(answer, asked);
  }

  async #send(
    asked: ApiRequest,
    pool: Dispatcher,
    rules: Pick<Exchange, "timeoutMs"> & Partial<Pick<Exchange, "answered" | "line" | "isUnread">>,
  ): Promise<Answer> {
    const { method, body, contentType = "application/json", signal, mayLeave } = asked;
    const accept = asked.metadataOnly === true ? ACCEPT_METADATA : ACCEPT;
    const headers = ["accept", accept, "user-agent", AGENT];
    const token = await this.#token?.();
    if (token !== undefined) headers.push("authorization", `Bearer ${token}`);
    if (body !== undefined) headers.push("content-type", contentType);
    try {
      return await exchange(pool, {
        method,
        path: `${this.#prefix}${asked.path}`,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal,
        mayLeave,
        timeoutMs: rules.timeoutMs,
        answered: rules.answered,
        line: rules.line,
        isUnread: rules.isUnread === true,
      });
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      throw new ApiError(`${method} ${asked.path}: ${error.message}`, { status: 0 });
    }
  }
}

const AGENT = "tricampus-operator";
const MESSAGE_MAX = 500;

function errorOf({ status, retryAfter, text }: Answer, { method, path }: ApiRequest): ApiError {
  const seconds = Number(retryAfter);
  const isAsked = (status === 429 || status === 503) && seconds > 0;
  const retryAfterMs = isAsked ? Math.min(seconds * 1_000, RETRY_AFTER_MS_MAX) : undefined;
  const { reason, message, budget } = statusIn(text);
  const shown = path.split("?")[0];
  const facts = { status, reason, retryAfterMs, budget };
  return new ApiError(`${method} ${shown}: ${status} ${message}`, facts);
}

/** The part of Kubernetes' Status that is looked at. */
interface Status {
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { reason?: string; message?: string }[] };
}

function statusIn(text: string): Pick<ApiError, "reason" | "message" | "budget"> {
  try {
    const { reason = "", message = "", details } = JSON.parse(text) as Status;
    const cause = details?.causes?.find((one) => one.reason === "DisruptionBudget");
    return { reason, message, budget: cause?.message };
  } catch {
    return { reason: "", message: text.slice(0, MESSAGE_MAX), budget: undefined };
  }
}

const VERSION = /"resourceVersion":"([^"\\]*)"/g;

/** Who owns which field is most of an object's metadata, and is not parsed for the one version that is in it. */
export function versionIn(text: string): string {
  const [found, another] = text.matchAll(VERSION);
  if (found !== undefined && another === undefined) return found[1]!;
  return (JSON.parse(text) as KubeObject).metadata.resourceVersion!;
}
