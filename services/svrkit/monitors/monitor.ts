/**
 * ID-Value monitors: code on the hot path sets or adds to a number by its id (table.ts), which is one
 * element of an array; whoever reads copies the array out. No locks, no labels, no strings after start.
 */
import {
  MONITOR_NUMBERS_MAX,
  MONITORS,
  type MonitorDefinition,
  type MonitorName,
} from "./table.ts";

/** Number of a monitor in the table. */
export type MonitorId = number & { readonly monitor: true };

const values = new Float64Array(MONITOR_NUMBERS_MAX);
const byName = new Map(MONITORS.map((definition) => [definition.name, definition]));
/** Those that code in this process knows of. */
const inUse = new Set<MonitorDefinition>();
/** Set what is only known when somebody looks. */
const samplers = new Set<() => void>();

export function monitorId(name: MonitorName): MonitorId {
  const definition = byName.get(name)!;
  inUse.add(definition);
  return definition.number as MonitorId;
}

export const monitor = {
  set(id: MonitorId, value: number): void {
    values[id] = value;
  },

  add(id: MonitorId, value: number): void {
    values[id]! += value;
  },

  read(id: MonitorId): number {
    return values[id]!;
  },
};

/** `sample` is called before each reading; returns what ends that. */
export function beforeReading(sample: () => void): () => void {
  samplers.add(sample);
  return () => samplers.delete(sample);
}

/** Sets every level that is only known when somebody looks, and returns all values, by number. */
export function sampledValues(): Float64Array {
  for (const sample of samplers) sample();
  return values;
}

export interface MonitorReading extends MonitorDefinition {
  readonly value: number;
}

/** Every monitor in use in this process, sorted by name. */
export function readMonitors(): MonitorReading[] {
  const read = sampledValues();
  return [...inUse]
    .map((definition) => ({ ...definition, value: read[definition.number]! }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
