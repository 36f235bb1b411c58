/**
 * Tells another campus which sends are under way here, so that somebody finishes them when this
 * process dies (M1): `open` before the commit, `close` when nobody is needed any more.
 *
 * The notice leaves in the same turn as the commit and is not waited for; all of a turn go in one
 * call. Closing is not urgent: it goes with the next notice, or after half a second. A witness that
 * was told neither in time, or another one after a failover, finishes what is finished already, which
 * costs a read and changes nothing.
 *
 * The tempting alternative, a row of open sends in the store, is a fourth quorum write to every
 * message if it is to be there before a process can die.
 */
import { Finishing, type OpenSend } from "../../../protos/gen/tricampus/logic/v1/finish_codec.ts";
import type { Callee } from "../../svrkit/client.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";

const CLOSE_PAUSE_MS = 500;
const NOTICE_TIMEOUT_MS = 2_000;
const NOTICES_IN_FLIGHT_MAX = 256;

/** Sends that nobody else knows of. */
const unwitnessed = monitorId("text.sends_unwitnessed");

export interface OpenSendsParts {
  readonly witnesses: Pick<Callee, "call">;
  /** Indexes of the other campuses in the order to try. */
  readonly order: readonly number[];
}

/** The campuses behind the own one, so that each witnesses for one other while all are there. */
export function witnessOrder(campuses: readonly string[], own: string): number[] {
  const at = campuses.indexOf(own);
  return campuses.slice(1).map((_, i) => (at + 1 + i) % campuses.length);
}

export class OpenSends {
  readonly #parts: OpenSendsParts;
  #opened: OpenSend[] = [];
  #closed: string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #inFlight = 0;
  #stopped = false;

  constructor(parts: OpenSendsParts) {
    this.#parts = parts;
  }

  open(send: OpenSend): void {
    if (this.#stopped || this.#parts.order.length === 0) return;
    // A microtask, not a later turn: the commit must not leave before.
    if (this.#opened.length === 0) queueMicrotask(() => this.#tell());
    this.#opened.push(send);
  }

  close(id: string): void {
    if (this.#stopped || this.#parts.order.length === 0) return;
    this.#closed.push(id);
    this.#timer ??= setTimeout(() => this.#tell(), CLOSE_PAUSE_MS);
  }

  /** Tells what is left to tell. */
  stop(): void {
    this.#tell();
    this.#stopped = true;
  }

  #tell(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const opened = this.#opened;
    const closed = this.#closed;
    if (opened.length === 0 && closed.length === 0) return;
    this.#opened = [];
    this.#closed = [];
    if (this.#inFlight >= NOTICES_IN_FLIGHT_MAX) {
      monitor.add(unwitnessed, opened.length);
      return;
    }
    this.#inFlight += 1;
    const options = { order: this.#parts.order, timeoutMs: NOTICE_TIMEOUT_MS };
    this.#parts.witnesses
      .call(Finishing.witness, { opened, closed }, options)
      .catch(() => {
        monitor.add(unwitnessed, opened.length);
      })
      .finally(() => {
        this.#inFlight -= 1;
      });
  }
}
