/**
 * One connection's conversation: Hello both ways, then calls in both directions, numbered by the
 * side that makes them. A session knows nothing of services or of choosing a peer; it turns calls
 * into frames, frames into calls, and tells when the other side was last heard.
 *
 * States: opening (Hello awaited) -> open -> closed. Closing fails every unanswered call with
 * UNAVAILABLE, and the caller decides whether to try another replica.
 */
import {
  decodeHello,
  decodeReplyHead,
  decodeRequestHead,
  encodeHello,
  encodeReplyHead,
  encodeRequestHead,
  FrameKind,
  type Hello,
  type RequestHead,
} from "../../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import { monotonicMs } from "../call.ts";
import { CodecError, type Encode, Reader } from "../codec.ts";
import { codes, RpcError } from "../errors.ts";
import { FIRST_FRAME_BYTES_MAX, FRAME_BYTES_MAX, SESSION_BUFFERED_BYTES_MAX } from "../limits.ts";
import { type Frame, FrameReader, FrameWriter } from "./framing.ts";
import { Unanswered } from "./unanswered.ts";
import { expireWaiting, type Waiting } from "./waiting.ts";
import type { Wire } from "./wire.ts";

const WIRE_VERSION = 1;

/** Where an answered or failed call goes; `body` is a view, valid during the call only. */
export interface Waiter extends Waiting {
  reply(body: Reader): void;
}

export interface SessionEvents {
  opened?(hello: Hello): void;
  request?(session: Session, head: RequestHead, body: Reader): void;
  goingAway?(): void;
  /** Heard again, after a silence long enough for a PING. */
  late?(quietMs: number): void;
  closed?(reason: string): void;
}

type Body<T> = readonly [Encode<T>, T];

export class Session {
  readonly #wire: Wire;
  readonly #events: SessionEvents;
  readonly #reader = new FrameReader(FIRST_FRAME_BYTES_MAX);
  readonly #writer = new FrameWriter();
  #waiters = new Unanswered<Waiter>();
  #flushScheduled = false;
  #state: "opening" | "open" | "closed" = "opening";
  #pingUnanswered = false;
  /** Monotonic time at which the other side was last heard, or first had reason to speak. */
  lastHeardMs = monotonicMs();
  /** Since when what is read now may have been waiting. */
  arrivedMs = 0;
  /** The other side's admission level when it last answered; 0: it admits everything. */
  level = 0;
  /** When it said so; it is not said by signs of life. */
  levelHeardMs = 0;
  /** The other side's Hello, once open. */
  peer: Hello = { wireVersion: 0, process: "", campus: "" };

  constructor(wire: Wire, self: { process: string; campus: string }, events: SessionEvents) {
    this.#wire = wire;
    this.#events = events;
    wire.bind({
      data: (chunk, arrivedMs) => this.#receive(chunk, arrivedMs, self.campus),
      closed: (reason) => this.#closed(reason),
    });
    this.#writer.frame(
      FrameKind.HELLO,
      [encodeHello, { wireVersion: WIRE_VERSION, ...self }],
      undefined,
    );
    this.#scheduleFlush();
  }

  get remote(): string {
    return this.#wire.remote;
  }

  /** The services that the other side has proved to be; undefined: it has proved nothing. */
  get proved(): ReadonlySet<string> | undefined {
    return this.#wire.proved;
  }

  get isOpen(): boolean {
    return this.#state === "open";
  }

  get unanswered(): number {
    return this.#waiters.size;
  }

  /** Sends a request under a call id of its own; the waiter hears exactly once, unless the call throws. */
  request<T>(head: RequestHead, body: Body<T> | Uint8Array, waiter: Waiter): void {
    if (this.#state === "closed")
      throw new RpcError("UNAVAILABLE", `the connection to ${this.remote} is closed`);
    if (this.#wire.bufferedBytes() > SESSION_BUFFERED_BYTES_MAX) {
      throw new RpcError(
        "UNAVAILABLE",
        `${this.remote} takes no more data: ${SESSION_BUFFERED_BYTES_MAX} bytes wait`,
      );
    }
    const callId = this.#waiters.nextId();
    head.callId = callId;
    this.#writer.frame(FrameKind.REQUEST, [encodeRequestHead, head], asBody(body));
    if (this.#waiters.size === 0) this.lastHeardMs = Math.max(this.lastHeardMs, monotonicMs());
    this.#waiters.add(callId, waiter);
    this.#scheduleFlush();
  }

  /** `level`: this side's admission level; 0: it admits everything. */
  reply<T>(callId: number, body: Body<T> | Uint8Array, level: number): void {
    if (!this.#takesAnswers()) return;
    const head = { callId, code: 0, message: "", level };
    this.#writer.frame(FrameKind.REPLY, [encodeReplyHead, head], asBody(body));
    this.#scheduleFlush();
  }

  replyError(callId: number, error: RpcError, level: number): void {
    if (!this.#takesAnswers()) return;
    const head = { callId, code: codes[error.code].number, message: error.message, level };
    this.#writer.frame(FrameKind.REPLY, [encodeReplyHead, head], undefined);
    this.#scheduleFlush();
  }

  /**
   * False: it is over. Who asks on and reads no answers is not held for: nobody else is told to wait, so the
   * connection ends.
   */
  #takesAnswers(): boolean {
    if (this.#state === "closed") return false;
    if (this.#wire.bufferedBytes() <= SESSION_BUFFERED_BYTES_MAX) return true;
    this.close(`${this.remote} takes no more data: ${SESSION_BUFFERED_BYTES_MAX} bytes wait`);
    return false;
  }

  goAway(): void {
    if (this.#state === "closed") return;
    this.#writer.frame(FrameKind.GOING_AWAY, undefined, undefined);
    this.#scheduleFlush();
  }

  /** Asks for a sign of life, once until one comes. */
  ping(): void {
    if (this.#pingUnanswered || this.#state === "closed") return;
    this.#pingUnanswered = true;
    this.#writer.frame(FrameKind.PING, undefined, undefined);
    this.#scheduleFlush();
  }

  /** Fails the calls whose deadline has passed; the answer, should it come, is dropped. */
  expire(nowMs: number, loopLateMs: number): void {
    expireWaiting(this.#waiters, { nowMs, loopLateMs, who: this.remote });
  }

  /** The other side has fallen silent: those who can ask elsewhere should. */
  linger(): void {
    this.#waiters.visit((_, waiter) => waiter.linger("silent"));
  }

  close(reason: string): void {
    if (this.#state === "closed") return;
    this.#flush();
    this.#wire.close();
    this.#closed(reason);
  }

  #receive(chunk: Buffer, arrivedMs: number, ownCampus: string): void {
    if (this.#state === "closed") return;
    const nowMs = monotonicMs();
    this.arrivedMs = arrivedMs;
    if (this.#pingUnanswered) this.#events.late?.(nowMs - this.lastHeardMs);
    this.lastHeardMs = nowMs;
    this.#pingUnanswered = false;
    try {
      this.#reader.push(chunk, (frame) => this.#take(frame, ownCampus));
    } catch (error) {
      // The stream can no longer be trusted to be in step: this connection ends, no other is hurt.
      this.close(
        error instanceof CodecError || error instanceof RpcError ? error.message : String(error),
      );
      if (!(error instanceof CodecError || error instanceof RpcError)) throw error;
    }
  }

  #take(frame: Frame, ownCampus: string): void {
    if (this.#state === "closed") return;
    if (this.#state === "opening") {
      this.#open(frame, ownCampus);
      return;
    }
    const head = new Reader(frame.buffer, frame.headStart, frame.headEnd);
    switch (frame.kind) {
      case FrameKind.REQUEST: {
        const request = decodeRequestHead(head, frame.headEnd);
        this.#events.request?.(this, request, new Reader(frame.buffer, frame.headEnd, frame.end));
        return;
      }
      case FrameKind.REPLY:
        this.#takeReply(head, frame);
        return;
      case FrameKind.PING:
        if (!this.#takesAnswers()) return;
        this.#writer.frame(FrameKind.PONG, undefined, undefined);
        this.#scheduleFlush();
        return;
      case FrameKind.PONG:
        return;
      case FrameKind.GOING_AWAY:
        this.#events.goingAway?.();
        return;
      default:
        throw new CodecError(`a frame of unknown kind ${frame.kind}`);
    }
  }

  #open(frame: Frame, ownCampus: string): void {
    if (frame.kind !== FrameKind.HELLO) throw new CodecError("the first frame is not a Hello");
    const hello = decodeHello(
      new Reader(frame.buffer, frame.headStart, frame.headEnd),
      frame.headEnd,
    );
    if (hello.wireVersion !== WIRE_VERSION) {
      throw new CodecError(`wire version ${hello.wireVersion}, here it is ${WIRE_VERSION}`);
    }
    this.#state = "open";
    this.#reader.bytesMax = FRAME_BYTES_MAX;
    this.peer = hello;
    if (hello.campus !== "" && hello.campus === ownCampus) this.#wire.markInside();
    this.#events.opened?.(hello);
  }

  #takeReply(head: Reader, frame: Frame): void {
    const reply = decodeReplyHead(head, frame.headEnd);
    const waiter = this.#waiters.take(reply.callId);
    if (waiter === undefined) return; // its deadline passed
    this.level = reply.level;
    this.levelHeardMs = this.lastHeardMs;
    if (reply.code !== 0) {
      waiter.fail(RpcError.fromWire(reply.code, reply.message), true);
      return;
    }
    waiter.reply(new Reader(frame.buffer, frame.headEnd, frame.end));
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    // Two turns: what the events of the next one add goes into the same write.
    setImmediate(() =>
      setImmediate(() => {
        this.#flushScheduled = false;
        this.#flush();
      }),
    );
  }

  #flush(): void {
    if (this.#state !== "closed" && !this.#writer.isEmpty) this.#wire.write(this.#writer.take());
  }

  #closed(reason: string): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const waiters = this.#waiters;
    this.#waiters = new Unanswered();
    this.#events.closed?.(reason);
    waiters.visit((_, waiter) => {
      const message = `the connection to ${this.remote} ended: ${reason}`;
      waiter.fail(new RpcError("UNAVAILABLE", message), false);
    });
  }
}

function asBody<T>(body: Body<T> | Uint8Array): [Encode<T>, T] | Uint8Array {
  return body instanceof Uint8Array ? body : [body[0], body[1]];
}
