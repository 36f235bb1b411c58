/**
 * A client's connection to the platform: one channel at a time (transports/), another one when it ends or falls
 * silent, and the requests that are open, which outlive connections.
 *
 *   idle -> connecting -> open -> attaching -> attached      (no ticket yet: open)
 *     ^          |          |         |            |
 *     +-- pausing <---------+---------+------------+         closed: for good
 *
 * Every request is safe to repeat (sends carry a client message id), so after a reconnect all open
 * ones are simply sent again, in their order, until an answer comes or their time is over.
 */
import {
  type ClientFrame,
  decodeServerFrame,
  encodeClientFrame,
  type Failure,
  type Push,
  type Request,
  type ServerFrame,
} from "../protos/gen/tricampus/client/v1/frame_codec.ts";
import { fromBytes, toBytes } from "../services/svrkit/codec.ts";
import { type Code, codes, RpcError } from "../services/svrkit/errors.ts";
import type { Method } from "../services/svrkit/method.ts";
import { type Endpoint, EndpointChooser } from "./endpoints.ts";
import { Heartbeat } from "./heartbeat.ts";
import { Parts } from "./parts.ts";
import { leavesUnknown, Retry } from "./retry.ts";
import { startTicking, type Ticking } from "./ticker.ts";
import type { Channel, Transport } from "./transports/transport.ts";

const CONNECT_TIMEOUT_MS = 1_000;
const OPEN_REQUESTS_MAX = 64;
const REQUEST_BYTES_MAX = 1_000_000;

export type LinkState =
  | "idle"
  | "pausing"
  | "connecting"
  | "open"
  | "attaching"
  | "attached"
  | "closed";

export interface LinkEvents {
  push(push: Push): void;
  /** What a connection is opened with. */
  attach(): { ticket: Uint8Array; snapshot: Uint8Array; wantPush: boolean } | undefined;
  changed(state: LinkState, campus: string): void;
  /** The ticket is not taken. */
  refused(error: RpcError): void;
  tick(nowMs: number): void;
  /** What is asked for is to be traced. */
  readonly isTraced?: boolean;
}

export interface RequestOptions {
  readonly timeoutMs: number;
  /** Sent without a ticket, before Attach. */
  readonly beforeAttach?: boolean;
  /** Repeated even when the platform says that it does not know what became of it. */
  readonly untilKnown?: boolean;
  /** Aborted: nobody wants the answer any more; the request fails within a tick. */
  readonly signal?: AbortSignal;
  /** From then on nobody waits, and others may come first. */
  readonly lateAfterMs?: number;
  /** Pauses that go on where an earlier request for the same left them. */
  readonly retry?: Retry;
  /** A failure that is tried again. */
  readonly retrying?: (error: RpcError) => void;
}

interface OpenRequest {
  readonly id: number;
  readonly value: Omit<Request, "late">;
  readonly options: RequestOptions;
  readonly startedMs: number;
  readonly deadlineMs: number;
  readonly retry: Retry;
  sent: boolean;
  lastError: RpcError | undefined;
  readonly done: (body: Uint8Array) => void;
  readonly fail: (error: RpcError) => void;
}

export class Link implements Ticking {
  readonly #events: LinkEvents;
  readonly #transport: Transport;
  readonly #chooser: EndpointChooser;
  readonly #heartbeat = new Heartbeat();
  readonly #parts = new Parts();
  readonly #requests = new Map<number, OpenRequest>();
  readonly #watchers = new Set<{
    deadlineMs: number;
    done: () => void;
    fail: (e: RpcError) => void;
  }>();
  #state: LinkState = "idle";
  #refused: RpcError | undefined;
  #channel: Channel | undefined;
  #sinceMs = 0;
  #dueMs = 0;
  /** The pause before the next attempt, or the last one, was as long as it was because nobody waited. */
  #pausesIdly = false;
  #pausedMs = 0;
  #wroteMs = 0;
  #nextId = 1;
  #attachId = 0;
  #stopTicking: (() => void) | undefined;

  constructor(endpoints: readonly Endpoint[], transport: Transport, events: LinkEvents) {
    if (endpoints.length === 0)
      throw new RpcError("INVALID_ARGUMENT", "a client needs at least one endpoint");
    this.#events = events;
    this.#transport = transport;
    this.#chooser = new EndpointChooser(endpoints);
  }

  get state(): LinkState {
    return this.#state;
  }

  get campus(): string {
    return this.#chooser.current.campus;
  }

  /** Addresses of the campuses, the one that is connected or tried next first. */
  get urls(): readonly string[] {
    return this.#chooser.all.map(({ url }) => url);
  }

  /** Where else to connect; the connection that stands goes on. */
  setEndpoints(endpoints: readonly Endpoint[]): void {
    this.#chooser.replace(endpoints);
  }

  /** How long it waited before it tried the campus it is at. */
  get pausedMs(): number {
    return this.#pausedMs;
  }

  start(): void {
    if (this.#state !== "idle") return;
    this.#stopTicking = startTicking(this);
    this.#connect();
  }

  /** There is a ticket, or another one: attaches with it. `isSame`: of the same user. */
  ticketChanged(isSame: boolean): void {
    this.#refused = undefined;
    if (this.#state === "open" || (this.#state === "attached" && isSame)) this.#attach();
    else if (this.#state === "attached" || this.#state === "attaching") this.#lost(true);
  }

  /** Resolves when attached; rejects when the ticket is refused or the time is over. */
  whenAttached(timeoutMs: number): Promise<void> {
    if (this.#state === "attached") return Promise.resolve();
    if (this.#refused !== undefined) return Promise.reject(this.#refused);
    const deadlineMs = performance.now() + timeoutMs;
    return new Promise((done, fail) => this.#watchers.add({ deadlineMs, done, fail }));
  }

  request<I, O>(method: Method<I, O>, message: I, options: RequestOptions): Promise<O> {
    return new Promise<O>((resolve, fail) => {
      const done = (body: Uint8Array) => {
        try {
          resolve(fromBytes(method.decodeResponse, body));
        } catch (error) {
          fail(
            new RpcError("INTERNAL", `the answer of ${method.name} cannot be read`, {
              cause: error,
            }),
          );
        }
      };
      this.#add(method, toBytes(method.encodeRequest, message), { options, done, fail });
    });
  }

  #add(
    method: { readonly name: string },
    body: Uint8Array,
    facts: Pick<OpenRequest, "options" | "done" | "fail">,
  ): void {
    const refusal = this.#refuse(body, facts.options);
    if (refusal !== undefined) {
      facts.fail(refusal);
      return;
    }
    const id = this.#takeId();
    const name = method.name.slice(method.name.lastIndexOf(".") + 1);
    const value = { method: name, body, trace: this.#events.isTraced ?? false };
    const startedMs = performance.now();
    const request: OpenRequest = {
      ...facts,
      ...{ id, value },
      ...{ startedMs, deadlineMs: startedMs + facts.options.timeoutMs },
      retry: facts.options.retry ?? new Retry(startedMs),
      ...{ sent: false, lastError: undefined },
    };
    this.#requests.set(id, request);
    this.start();
    if (this.#state === "pausing" && this.#pausesIdly) this.#connect();
    if (this.#canSend(request)) this.#send(request);
  }

  /** Why it takes no requests of who is logged in. */
  get refusal(): RpcError | undefined {
    if (this.#state !== "closed") return this.#refused;
    return new RpcError("FAILED_PRECONDITION", "this client is closed");
  }

  /** One more request may be opened. */
  get hasRoom(): boolean {
    return this.#requests.size < OPEN_REQUESTS_MAX;
  }

  #refuse(body: Uint8Array, options: RequestOptions): RpcError | undefined {
    const refusal = this.refusal;
    if (refusal !== undefined && (this.#state === "closed" || options.beforeAttach !== true))
      return refusal;
    if (body.length > REQUEST_BYTES_MAX) {
      return new RpcError(
        "TOO_LARGE",
        `a request of ${body.length} bytes; at most ${REQUEST_BYTES_MAX}`,
      );
    }
    if (this.hasRoom) return undefined;
    return new RpcError(
      "RESOURCE_EXHAUSTED",
      `${OPEN_REQUESTS_MAX} requests are open; wait for one to end`,
    );
  }

  close(): void {
    if (this.#state === "closed") return;
    this.#become("closed");
    this.#stopTicking?.();
    this.#drop();
    this.#failAll(new RpcError("UNAVAILABLE", "this client was closed"), () => true);
  }

  tick(nowMs: number, lateMs: number): void {
    if (this.#state === "pausing") {
      if (nowMs >= this.#dueMs) this.#connect();
    } else if (this.#state === "connecting") {
      this.#dueMs += lateMs;
      if (nowMs >= this.#dueMs) this.#lost();
    } else if (this.#channel !== undefined) {
      this.#beat(nowMs, lateMs);
    }
    if (this.#requests.size > 0) this.#look(nowMs);
    for (const watcher of this.#watchers) {
      if (watcher.deadlineMs > nowMs) continue;
      this.#watchers.delete(watcher);
      watcher.fail(new RpcError("UNAVAILABLE", "no campus could be reached in time"));
    }
    this.#events.tick(nowMs);
  }

  #beat(nowMs: number, lateMs: number): void {
    const verdict = this.#heartbeat.look(nowMs, lateMs);
    if (verdict === "dead") this.#lost();
    else if (verdict === "ping" || this.#parts.needsSign(nowMs, this.#wroteMs))
      this.#write(encode({ id: this.#takeId(), kind: { case: "ping", value: {} } }));
  }

  /** Requests whose time is over, or has come again. */
  #look(nowMs: number): void {
    for (const [id, request] of this.#requests) {
      const { options, retry, lastError } = request;
      if (options.signal?.aborted) {
        this.#settle(id, request);
        request.fail(new RpcError("ABORTED", "nobody wants the answer any more"));
      } else if (request.deadlineMs <= nowMs) {
        this.#settle(id, request);
        const last = lastError === undefined ? "" : ` (last: ${lastError.message})`;
        request.fail(
          new RpcError("DEADLINE_EXCEEDED", `no answer in ${options.timeoutMs} ms${last}`),
        );
      } else if (retry.atMs > 0 && retry.atMs <= nowMs && this.#canSend(request)) {
        this.#send(request);
      }
    }
  }

  #connect(): void {
    this.#sinceMs = performance.now();
    this.#dueMs = this.#sinceMs + CONNECT_TIMEOUT_MS;
    this.#become("connecting");
    // A channel that was given up may still speak; nobody listens to it.
    const ifCurrent = (act: () => void) => {
      if (this.#channel === channel) act();
    };
    const channel: Channel = this.#transport(this.#chooser.current.url, {
      opened: () => ifCurrent(() => this.#opened()),
      received: (frame) => ifCurrent(() => this.#receive(frame)),
      closed: () => ifCurrent(() => this.#lost()),
    });
    this.#channel = channel;
  }

  #opened(): void {
    this.#heartbeat.reset(performance.now());
    this.#become("open");
    this.#attach();
    this.#sendAll();
  }

  #attach(): void {
    const value = this.#events.attach();
    if (value === undefined || this.#refused !== undefined) return;
    this.#attachId = this.#takeId();
    this.#become("attaching");
    this.#heartbeat.asked(performance.now());
    this.#write(encode({ id: this.#attachId, kind: { case: "attach", value } }));
  }

  /** `wasAsked`: the campus spreads its clients itself, or the application wants another connection. */
  #lost(wasAsked = false): void {
    const nowMs = performance.now();
    this.#drop();
    if (this.#requests.size === 0 && this.#events.attach() === undefined) {
      this.#stopTicking?.(); // nothing to connect for
      this.#become("idle");
      return;
    }
    for (const request of this.#requests.values()) request.sent = false;
    const isIdle = !wasAsked && this.#requests.size === 0 && this.#watchers.size === 0;
    const stoodMs = nowMs - this.#sinceMs;
    const pauseMs = this.#chooser.failed({ nowMs, stoodMs, isIdle }, Math.random);
    this.#dueMs = nowMs + pauseMs;
    this.#pausesIdly = isIdle;
    this.#pausedMs = pauseMs;
    this.#become("pausing");
    if (pauseMs === 0) this.#connect();
  }

  #drop(): void {
    const channel = this.#channel;
    this.#channel = undefined;
    this.#parts.clear();
    channel?.close();
  }

  #receive(bytes: Uint8Array): void {
    this.#heartbeat.heard(performance.now());
    let frame: ServerFrame | undefined;
    try {
      frame = this.#whole(fromBytes(decodeServerFrame, bytes));
    } catch {
      this.#lost(); // not our protocol: another campus may speak it
      return;
    }
    if (frame !== undefined) this.#take(frame);
  }

  /** The frame, or that of which it is the last part; undefined: more follows. */
  #whole(frame: ServerFrame): ServerFrame | undefined {
    if (frame.kind?.case !== "part") return frame;
    const bytes = this.#parts.add(frame.kind.value);
    return bytes && fromBytes(decodeServerFrame, bytes);
  }

  #take(frame: ServerFrame): void {
    switch (frame.kind?.case) {
      case "push":
        this.#events.push(frame.kind.value);
        return;
      case "body":
      case "failure":
        this.#answered(frame.id, frame.kind);
        return;
      case "attached":
        this.#attached();
        return;
      case "leave":
        this.#lost(true);
        return;
    }
  }

  #attached(): void {
    this.#heartbeat.answered();
    this.#become("attached");
    for (const watcher of this.#watchers) watcher.done();
    this.#watchers.clear();
    this.#sendAll();
  }

  #answered(id: number, kind: Extract<ServerFrame["kind"], { case: "body" | "failure" }>): void {
    if (id === this.#attachId && kind.case === "failure") {
      // Another reason may be gone soon, or elsewhere.
      if (kind.value.code === "UNAUTHENTICATED") this.#refuseTicket(errorOf(kind.value));
      else this.#lost();
      return;
    }
    const request = this.#requests.get(id);
    if (request === undefined) return;
    if (kind.case === "failure" && this.#retries(request, kind.value)) return;
    this.#settle(id, request);
    if (kind.case === "body") request.done(kind.value);
    else request.fail(errorOf(kind.value));
  }

  /** Whether a request that failed is tried again later. */
  #retries(request: OpenRequest, failure: Failure): boolean {
    const error = errorOf(failure);
    const isUnknown = request.options.untilKnown === true && leavesUnknown(error);
    if (!failure.retryable && !isUnknown) return false;
    if (request.sent) this.#heartbeat.answered();
    request.sent = false;
    request.lastError = error;
    request.retry.failed(error, performance.now(), Math.random);
    request.options.retrying?.(error);
    return true;
  }

  #refuseTicket(error: RpcError): void {
    this.#heartbeat.answered();
    this.#refused = error;
    this.#become("open");
    for (const watcher of this.#watchers) watcher.fail(error);
    this.#watchers.clear();
    this.#failAll(error, (request) => request.options.beforeAttach !== true);
    this.#events.refused(error);
  }

  #failAll(error: RpcError, which: (request: OpenRequest) => boolean): void {
    for (const [id, request] of this.#requests) {
      if (!which(request)) continue;
      this.#settle(id, request);
      request.fail(error);
    }
    if (this.#state !== "closed") return;
    for (const watcher of this.#watchers) watcher.fail(error);
    this.#watchers.clear();
  }

  #settle(id: number, request: OpenRequest): void {
    this.#requests.delete(id);
    if (request.sent) this.#heartbeat.answered();
  }

  #canSend(request: OpenRequest): boolean {
    if (request.sent || this.#channel === undefined) return false;
    if (request.options.signal?.aborted) return false;
    // Access reads the Attach before what follows it: no need to wait for its answer.
    if (this.#state === "attached" || this.#state === "attaching") return true;
    return request.options.beforeAttach === true && this.#state === "open";
  }

  #sendAll(): void {
    for (const request of this.#requests.values()) if (this.#canSend(request)) this.#send(request);
  }

  #send(request: OpenRequest): void {
    request.sent = true;
    request.retry.endPause();
    this.#heartbeat.asked(performance.now());
    const { id, startedMs, options } = request;
    const late = performance.now() - startedMs >= (options.lateAfterMs ?? Number.POSITIVE_INFINITY);
    this.#write(encode({ id, kind: { case: "request", value: { ...request.value, late } } }));
  }

  #write(frame: Uint8Array<ArrayBuffer>): void {
    this.#wroteMs = performance.now();
    this.#channel?.send(frame);
  }

  #takeId(): number {
    const id = this.#nextId;
    this.#nextId = (id + 1) >>> 0 || 1;
    return id;
  }

  #become(state: LinkState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#events.changed(state, this.campus);
  }
}

function encode(frame: Omit<ClientFrame, "takesParts">): Uint8Array<ArrayBuffer> {
  return toBytes(encodeClientFrame, { ...frame, takesParts: true }) as Uint8Array<ArrayBuffer>;
}

function errorOf(failure: Failure): RpcError {
  const code: Code = failure.code in codes ? (failure.code as Code) : "INTERNAL";
  return new RpcError(code, failure.message);
}
