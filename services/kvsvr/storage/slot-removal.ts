/**
 * Takes the registers and rows of slots that were moved away out of the state engine, a few hundred a
 * commit, resting as long as that took. Rows go before their register, so that a removal that was cut
 * short finds the key again.
 */
import { monotonicMs } from "../../svrkit/call.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { rest } from "../../svrkit/rest.ts";
import type { EngineEntry, StateEngine } from "./engine.ts";
import { slotGroup } from "./record.ts";

const KEYS_AT_ONCE = 200;
const ROWS_AT_ONCE = 500;

const removed = monitorId("kvsvr.registers_removed");

export interface Slice {
  readonly keyspace: number;
  readonly first: number;
  /** Included. */
  readonly last: number;
}

export function isWithin(registerKey: Buffer, { keyspace, first, last }: Slice): boolean {
  if (registerKey[0] !== keyspace) return false;
  const slot = registerKey.readUInt16BE(1);
  return first <= slot && slot <= last;
}

/** The first and the last slotGroup of a slice. */
export function groupsOf({ keyspace, first, last }: Slice): [number, number] {
  return [keyspace * 0x10000 + first, keyspace * 0x10000 + last];
}

/** Every register key of a slice is above this. */
function startOf({ keyspace, first }: Slice): Buffer {
  const start = Buffer.from([keyspace, 0, 0]);
  start.writeUInt16BE(first, 1);
  return start;
}

export async function removeSlice(
  engine: StateEngine,
  slice: Slice,
  commit: (entries: readonly EngineEntry[]) => Promise<void>,
): Promise<void> {
  let after = startOf(slice);
  const [, end] = groupsOf(slice);
  for (;;) {
    const page = engine.keys(after, KEYS_AT_ONCE).map(({ registerKey }) => registerKey);
    const keys = page.filter((registerKey) => slotGroup(registerKey) <= end);
    if (keys.length === 0) return;
    const startedMs = monotonicMs();
    for (const registerKey of keys) await removeRows(engine, registerKey, commit);
    await commit(keys.map((registerKey) => ({ ...nothingOf(registerKey), removed: true })));
    monitor.add(removed, keys.length);
    after = keys.at(-1)!;
    await rest(monotonicMs() - startedMs);
  }
}

/** All rows of a table, and those that are damaged, too: nobody needs to know what they were. */
async function removeRows(
  engine: StateEngine,
  registerKey: Buffer,
  commit: (entries: readonly EngineEntry[]) => Promise<void>,
): Promise<void> {
  const rowsLeave = { ...nothingOf(registerKey), emptied: ROWS_AT_ONCE };
  while (engine.hasRows(registerKey)) await commit([rowsLeave]);
}

function nothingOf(registerKey: Buffer): EngineEntry {
  return { registerKey, register: undefined, rows: [], forgotten: [] };
}
