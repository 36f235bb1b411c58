/** Adds up what the generators tell, for the run, for one phase, and for the line a second. */
import { Histogram } from "../ledger/histogram.ts";
import type { Timeline } from "../replay/timeline.ts";
import type { Second } from "./orders.ts";

const FAILURES_MAX = 20;

/** Of one phase, or of a whole run. */
export class Measured {
  readonly acknowledgements = new Histogram();
  readonly deliveries = new Histogram();
  readonly reconnects = new Histogram();
  readonly logins = new Histogram();
  readonly syncs = new Histogram();
  failed = 0;
  arrived = 0;
  expected = 0;
  givenUp = 0;
  syncsBehind = 0;
  ready = 0;
  lateMs = 0;

  add(second: Second): void {
    this.acknowledgements.addCounts(second.acknowledgeMs);
    this.deliveries.addCounts(second.deliverMs);
    this.reconnects.addCounts(second.reconnectMs);
    this.logins.addCounts(second.loginMs);
    this.syncs.addCounts(second.syncMs);
    this.failed += second.failed;
    this.arrived += second.arrived;
    this.expected += second.expected;
    this.givenUp += second.givenUp;
    this.syncsBehind += second.syncsBehind;
    this.ready += second.ready;
    this.lateMs = Math.max(this.lateMs, second.lateMs);
  }
}

export class Meter {
  readonly run = new Measured();
  readonly failures: string[] = [];
  phase = new Measured();
  timeline: Timeline | undefined;
  lastArrivalMs = 0;
  #line = new Measured();

  heard(second: Second): void {
    const nowMs = performance.now();
    for (const measured of [this.run, this.phase, this.#line]) measured.add(second);
    for (const failure of second.failures)
      if (this.failures.length < FAILURES_MAX) this.failures.push(failure);
    if (second.arrived > 0) this.lastArrivalMs = nowMs;
    this.timeline?.delivered(nowMs, second.arrived);
    if (second.acknowledged > 0)
      this.timeline?.acknowledged(nowMs, second.acknowledgeMs.max, second.acknowledged);
  }

  /** What happened since the last line. */
  takeLine(): string {
    const { acknowledgements, arrived, failed, reconnects, logins } = this.#line;
    const { p50, p99 } = acknowledgements.summary();
    const { run } = this;
    this.#line = new Measured();
    const comings = reconnects.count + logins.count;
    return [
      `${acknowledgements.count} acknowledged (p50 ${p50} ms, p99 ${p99} ms)`,
      `${arrived} delivered`,
      `${run.expected - run.arrived} to come`,
      ...(comings > 0 ? [`${comings} came back`] : []),
      ...(failed > 0 ? [`${failed} FAILED`] : []),
    ].join(", ");
  }
}
