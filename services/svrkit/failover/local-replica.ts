/**
 * A replica in the caller's own process, called without a connection. Its handlers may wait for as long as
 * any others, so what is asked of it has the same clock as what is sent: it is late, and over, as in peer.ts.
 */
import { type Call, handlersDeadlineMs, monotonicMs } from "../call.ts";
import type { Server } from "../server.ts";
import { Unanswered } from "../transport/unanswered.ts";
import { expireWaiting, type Waiting } from "../transport/waiting.ts";

/** Hears of its answer, or of its failure, once. */
interface LocalWaiter<O> extends Waiting {
  resolve(response: O): void;
}

export class LocalReplica {
  readonly campus: string;
  readonly usable = true;
  readonly #server: Server;
  readonly #open = new Unanswered<Waiting>();
  /** Told before a call is made: from now on it must be watched. */
  readonly #onBusy: () => void;

  constructor(campus: string, server: Server, onBusy: () => void) {
    this.campus = campus;
    this.#server = server;
    this.#onBusy = onBusy;
  }

  /** `invoke` carries the call out; it gets the call as its handler is to see it. */
  ask<O>(
    call: Call,
    waiter: LocalWaiter<O>,
    invoke: (server: Server, call: Call) => Promise<O>,
  ): void {
    this.#onBusy();
    const nowMs = monotonicMs();
    const deadlineMs = handlersDeadlineMs(nowMs, call.deadlineMs - nowMs);
    const callId = this.#open.nextId();
    this.#open.add(callId, waiter);
    const isAwaited = () => this.#open.take(callId) !== undefined;
    invoke(this.#server, { ...call, deadlineMs }).then(
      (response) => {
        if (isAwaited()) waiter.resolve(response);
      },
      (error) => {
        if (isAwaited()) waiter.fail(error, true);
      },
    );
  }

  /** Calls are open: `watch` has something to do. */
  get needsWatch(): boolean {
    return this.#open.size > 0;
  }

  /** Called every WATCH_INTERVAL_MS; `loopLateMs` is how late this process itself is. */
  watch(nowMs: number, loopLateMs: number): void {
    expireWaiting(this.#open, { nowMs, loopLateMs, who: "this very process" });
  }
}
