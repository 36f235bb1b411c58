/**
 * Monitors are plain number additions: code on the hot path adds to `value`, readers (status now;
 * the monitoring centre and /metrics later) copy the numbers out. No locks, no labels, no strings
 * after start.
 */
export interface Counter {
  value: number;
}

const counters = new Map<string, Counter>();

/** The counter of that name in this process; the same object for the same name. */
export function counter(name: string): Counter {
  let found = counters.get(name);
  if (found === undefined) {
    found = { value: 0 };
    counters.set(name, found);
  }
  return found;
}

/** Every counter of this process by name, sorted. */
export function readCounters(): [name: string, value: number][] {
  return [...counters]
    .map(([name, c]): [string, number] => [name, c.value])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}
