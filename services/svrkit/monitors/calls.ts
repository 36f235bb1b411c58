/**
 * What became of the calls of each method that this process serves. A method is known by its name in the
 * protos and has no number in the table of monitors; the sums over all methods have (table.ts).
 */
import type { Code } from "../errors.ts";
import { Latencies } from "./latency.ts";
import { beforeReading, monitor, monitorId } from "./monitor.ts";

export class MethodCalls {
  /** "Kv/Batch" */
  readonly name: string;
  /** From other processes and from this one. */
  arrived = 0;
  readonly failures = new Map<Code, number>();
  /** Of those that were answered, from arrival to answer, failures included. */
  readonly latencies = new Latencies();

  constructor(name: string) {
    this.name = name;
  }

  failed(code: Code): void {
    this.failures.set(code, (this.failures.get(code) ?? 0) + 1);
  }
}

/** What calls that may be shed waited for their turn. */
export const queueDelays = new Latencies();
const turns = monitorId("svrkit.turns");
const waited = monitorId("svrkit.waited_ms");
beforeReading(() => {
  monitor.set(
    turns,
    queueDelays.counts.reduce((sum, count) => sum + count, 0),
  );
  monitor.set(waited, Math.round(queueDelays.sumMs));
});

const methods = new Map<string, MethodCalls>();

/** `method`: "tricampus.kv.v1.Kv/Batch"; the same object for the same method. */
export function callsOf(method: string): MethodCalls {
  const name = method.slice(method.lastIndexOf(".") + 1);
  let found = methods.get(name);
  if (found === undefined) {
    found = new MethodCalls(name);
    methods.set(name, found);
  }
  return found;
}

/** Every method that was registered in this process, sorted by name. */
export function readMethodCalls(): MethodCalls[] {
  return [...methods.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
