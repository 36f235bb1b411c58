/** Which groups should have which share of the slots, and whether that is so. Pure. */
import { KEYSPACES } from "../api/kv-group.ts";
import type { Action } from "./actions.ts";
import type { KvGroup } from "./kv-group.ts";
import { kvWorkload, type Observed } from "./observed.ts";

export interface SlotsPlan {
  readonly actions: readonly Action[];
  /** By group: slots it has now; empty when the table could not be read. */
  readonly owned: ReadonlyMap<number, number>;
  /** What is under way or waits; undefined: nothing. */
  readonly progress: string | undefined;
  /** When to look again though nothing was heard; undefined: need not. */
  readonly againMs?: number;
}

export function planSlots(observed: Observed, groups: readonly KvGroup[]): SlotsPlan {
  const { table, words, dataCenter } = observed;
  if (table === undefined) return { actions: [], owned: new Map(), progress: undefined };
  const owned = new Map<number, number>();
  for (const counts of Object.values(table.slots))
    for (const [i, count] of counts.entries()) owned.set(i + 1, (owned.get(i + 1) ?? 0) + count);
  if (table.isMoving) return { actions: [], owned, progress: "slots are being moved" };
  if (groups.some(({ spec }) => spec.slots === "Manual"))
    return { actions: [], owned, progress: strandedIn(owned, groups) };
  const shares = sharesOf(groups);
  const uneven = Object.entries(shares).filter(([keyspace, wanted]) =>
    isUneven(table.slots[keyspace] ?? [], wanted),
  );
  if (uneven.length === 0) return { actions: [], owned, progress: undefined };
  const paused = groups.filter(({ spec }) => spec.paused).map(({ spec }) => spec.number);
  const free = uneven.filter(([keyspace, wanted]) =>
    paused.every((group) => !wanted.includes(group) && !table.slots[keyspace]?.[group - 1]),
  );
  if (free.length === 0) {
    const progress = `moving slots waits for paused groups: ${paused.join(", ")}`;
    return { actions: [], owned, progress };
  }
  const campuses = dataCenter.spec.campuses.map(({ name }) => name);
  const isWhole = (group: number) =>
    campuses.every((campus) => words.get(`kvsvr-${group}/${campus}`)?.unready === "");
  // Of a paused one, which has no part in it, nobody makes the replicas whole.
  const weak = involved(table.slots, groups).find(
    (group) => !paused.includes(group) && !isWhole(group),
  );
  if (weak !== undefined)
    return { actions: [], owned, progress: `moving slots waits for all replicas of group ${weak}` };
  const fresh = free.flatMap(([, wanted]) => wanted.filter((group) => !owned.get(group)));
  const againMs = Math.max(0, ...fresh.map((group) => unheardMs(observed, group)));
  if (againMs > 0) {
    const progress = "moving slots waits until every pod has read where the new group is";
    return { actions: [], owned, progress, againMs };
  }
  const names = free.map(([keyspace]) => keyspace).join(", ");
  const why = `the shares of ${names} are not what the KVGroups ask for`;
  const action: Action = { act: "even-slots", shares: Object.fromEntries(free), why };
  return { actions: [action], owned, progress: why };
}

/** For how long pods may not know yet where a group is that nobody had to ask so far. */
function unheardMs({ pods, nowMs, addressesHeardMs }: Observed, group: number): number {
  const own = pods.filter(({ workload }) => workload === kvWorkload(group));
  const newest = Math.max(0, ...own.map((pod) => (pod.isReady ? pod.readySinceMs : nowMs)));
  return newest + addressesHeardMs - nowMs;
}

/** What nobody moves, of a group that is to go. */
function strandedIn(
  owned: ReadonlyMap<number, number>,
  groups: readonly KvGroup[],
): string | undefined {
  const isThere = (group: number) => groups.some(({ spec }) => spec.number === group);
  const [stranded] = [...owned].filter(([group, count]) => count > 0 && !isThere(group));
  if (stranded === undefined) return undefined;
  const [group, count] = stranded;
  return (
    `group ${group} has no KVGroup any more and keeps its pods for its ${count} slots: ` +
    "move them by `tricampus slots`, since a KVGroup says slots: Manual"
  );
}

/** By keyspace: the groups that take a share of it; the first one, when nobody else does. */
function sharesOf(groups: readonly KvGroup[]): Record<string, readonly number[]> {
  return Object.fromEntries(
    KEYSPACES.map((keyspace) => {
      const taking = groups.filter(({ spec }) => spec.keyspaces.includes(keyspace));
      const numbers = taking.map(({ spec }) => spec.number).toSorted((a, b) => a - b);
      return [keyspace, numbers.length === 0 ? [1] : numbers];
    }),
  );
}

function isUneven(counts: readonly number[], wanted: readonly number[]): boolean {
  const has = (group: number) => counts[group - 1] ?? 0;
  if (counts.some((count, i) => count > 0 && !wanted.includes(i + 1))) return true;
  const shares = wanted.map(has);
  return Math.max(...shares) - Math.min(...shares) > 1;
}

/** Groups that have slots, or are to have some. */
function involved(
  slots: Readonly<Record<string, readonly number[]>>,
  groups: readonly KvGroup[],
): number[] {
  const having = Object.values(slots).flatMap((counts) =>
    counts.flatMap((count, i) => (count > 0 ? [i + 1] : [])),
  );
  return [...new Set([...having, ...groups.map(({ spec }) => spec.number)])];
}
