/**
 * What one addition to a monitor, one setting of it and one counted latency cost, ns: medians of rounds.
 *
 *   node bench/monitors.ts
 */
import { Latencies } from "../services/svrkit/monitors/latency.ts";
import { type MonitorId, monitor, monitorId } from "../services/svrkit/monitors/monitor.ts";

const TIMES = 20_000_000;
const ROUNDS = 7;
const ids = [
  monitorId("svrkit.calls_served"),
  monitorId("kvsvr.fsyncs"),
  monitorId("fanout.steps"),
  monitorId("queuelog.fsyncs"),
];
const latencies = new Latencies();

/** So that nothing is left out: what is counted depends on the turn. */
const idOf = (turn: number): MonitorId => ids[turn & 3]!;

const work: Record<string, (turn: number) => void> = {
  loop: (turn) => {
    latencies.sumMs = idOf(turn);
  },
  add: (turn) => monitor.add(idOf(turn), 1),
  set: (turn) => monitor.set(idOf(turn), turn),
  latency: (turn) => latencies.add((turn & 1_023) / 10),
};

function nsOf(run: (turn: number) => void): number {
  const startedMs = performance.now();
  for (let turn = 0; turn < TIMES; turn++) run(turn);
  return ((performance.now() - startedMs) * 1e6) / TIMES;
}

const medians = Object.fromEntries(
  Object.entries(work).map(([name, run]) => {
    const rounds = Array.from({ length: ROUNDS }, () => nsOf(run)).sort((a, b) => a - b);
    return [name, Math.round(10 * rounds[Math.floor(ROUNDS / 2)]!) / 10];
  }),
);
console.table(medians);
console.log(JSON.stringify(medians));
