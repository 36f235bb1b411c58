/** What a generator counts, second by second; what was told is forgotten. */
import { Histogram } from "../ledger/histogram.ts";
import type { Second } from "./orders.ts";

const FAILURES_TOLD_MAX = 20;
const FAILURE_CHARACTERS_MAX = 200;

export class Tally {
  acknowledgements = new Histogram();
  deliveries = new Histogram();
  reconnects = new Histogram();
  logins = new Histogram();
  syncs = new Histogram();
  failed = 0;
  arrived = 0;
  expected = 0;
  givenUp = 0;
  syncsBehind = 0;
  lateMs = 0;
  ready = 0;
  #failures: string[] = [];
  #told = 0;

  fail(what: string, error: unknown): void {
    this.failed += 1;
    if (this.#told === FAILURES_TOLD_MAX) return;
    this.#told += 1;
    const why = error instanceof Error ? error.message : String(error);
    this.#failures.push(`${what}: ${why}`.slice(0, FAILURE_CHARACTERS_MAX));
  }

  take(): Second {
    const { acknowledgements, deliveries, reconnects, logins, syncs } = this;
    const second: Second = {
      acknowledged: acknowledgements.count,
      ...{ failed: this.failed, arrived: this.arrived, expected: this.expected },
      ...{ givenUp: this.givenUp, syncsBehind: this.syncsBehind },
      reconnected: reconnects.count + logins.count,
      acknowledgeMs: acknowledgements.toCounts(),
      deliverMs: deliveries.toCounts(),
      reconnectMs: reconnects.toCounts(),
      loginMs: logins.toCounts(),
      syncMs: syncs.toCounts(),
      ...{ lateMs: this.lateMs, ready: this.ready, failures: this.#failures },
    };
    this.acknowledgements = new Histogram();
    this.deliveries = new Histogram();
    this.reconnects = new Histogram();
    this.logins = new Histogram();
    this.syncs = new Histogram();
    this.failed = this.arrived = this.expected = this.lateMs = this.ready = 0;
    this.givenUp = this.syncsBehind = 0;
    this.#failures = [];
    return second;
  }
}
