/**
 * What is there and should not be. A group whose KVGroup is gone keeps its pods until it has no slots, for
 * they hold data that is in use; volumes stay, unless the group's owner has said otherwise by name. Pure.
 */
import type { Action } from "./actions.ts";
import type { Wanted } from "./desired.ts";
import type { KvGroup } from "./kv-group.ts";
import type { Child, Observed } from "./observed.ts";
import type { SlotsPlan } from "./slots.ts";

export function leftovers(
  { children, table }: Observed,
  { desired, groups, slots }: { desired: Wanted; groups: readonly KvGroup[]; slots: SlotsPlan },
): Action[] {
  if (desired === "as it is") return [];
  const wanted = new Set(desired.map(({ key }) => key));
  const numbers = new Set(groups.map(({ spec }) => spec.number));
  return [...children].flatMap(([key, child]): Action[] => {
    if (wanted.has(key) || child.isLeaving) return [];
    const group = groupIn(child);
    if (child.kind === "PersistentVolumeClaim") {
      const isGone = group !== undefined && !numbers.has(group);
      if (!isGone || child.claim?.storagePolicy !== "Delete" || !isEmpty(group)) return [];
      return [
        removal(child, "its group is gone, whose storage policy was Delete", "storagePolicy"),
      ];
    }
    if (group !== undefined && (numbers.has(group) || !isEmpty(group))) return [];
    return [removal(child, "nothing asks for it any more", undefined)];
  });

  /** Known to have no slots; nothing is known without the table. */
  function isEmpty(group: number): boolean {
    return table !== undefined && !table.isMoving && (slots.owned.get(group) ?? 0) === 0;
  }
}

/** Groups without a KVGroup that can be reached still, in order: as long as leftovers keeps their Services. */
export function retiringGroups(
  { children }: Pick<Observed, "children">,
  groups: readonly { readonly number: number }[],
): number[] {
  const found = new Set<number>();
  for (const child of children.values()) {
    const group = child.kind === "Service" ? groupIn(child) : undefined;
    if (group !== undefined && !groups.some(({ number }) => number === group)) found.add(group);
  }
  return [...found].toSorted();
}

/** 2 for an object of kvsvr-2; undefined for everything else. */
function groupIn({ workload }: Child): number | undefined {
  const found = /^kvsvr-(\d)$/.exec(workload);
  return found === null ? undefined : Number(found[1]);
}

function removal({ kind, name, uid }: Child, why: string, namedAct: string | undefined): Action {
  return { act: "delete", kind, name, uid, disturbs: undefined, namedAct, isForced: false, why };
}
