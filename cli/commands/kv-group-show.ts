/** `tricampus kv group show`: the KV groups, by their replicas' own word. */
import { rangesOf } from "../../services/control/slots-client.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import type { CommandDefinition } from "../command.ts";
import { EXIT } from "../failure.ts";
import { KEYSPACE_NUMBERS, type OperatorParts, withReplicas } from "../kv/store.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";

interface ReplicaRow {
  readonly group: number;
  readonly campus: string;
  /** "ready", its own reason why not, or "silent". */
  readonly state: string;
  /** Versions it knows to be behind; null: it did not say. */
  readonly behind: number | null;
}

export const kvGroupShowCommand: CommandDefinition = {
  name: "kv group show",
  summary: "show every KV group: its replicas' own word, and how many slots it serves",
  run: (call) =>
    withReplicas(call, async (parts) => {
      const [replicas, slots] = await Promise.all([replicasOf(parts), slotsOf(parts)]);
      if (call.json) printJson({ replicas, slots: slots && Object.fromEntries(slots) });
      else print(replicas, slots);
      return EXIT.ok;
    }),
};

async function replicasOf({ inspector }: OperatorParts): Promise<ReplicaRow[]> {
  const { processes, campuses, kvGroups } = inspector;
  const places = kvGroups.flatMap((group) =>
    campuses.map((campus) => {
      const service = KV_GROUPS[group - 1]!;
      const process = processes.find((p) => p.campus === campus && p.services.includes(service));
      return { group, campus, name: process?.name ?? "" };
    }),
  );
  const statuses = await inspector.statuses(new Set(places.map(({ name }) => name)));
  return places.map(({ group, campus, name }) => {
    const status = statuses.get(name);
    const behind = status?.monitors.find((monitor) => monitor.name === "kvsvr.behind")?.value;
    return {
      group,
      campus,
      state: status === undefined ? "silent" : status.unready || "ready",
      behind: behind ?? null,
    };
  });
}

/** By group; undefined: nobody could say. */
async function slotsOf({ slots }: OperatorParts): Promise<Map<number, number> | undefined> {
  const now = await slots.read().catch(() => undefined);
  if (now === undefined) return undefined;
  const counts = new Map<number, number>();
  for (const { first, last, group } of KEYSPACE_NUMBERS.flatMap((one) => rangesOf(now, one)))
    counts.set(group, (counts.get(group) ?? 0) + last - first + 1);
  return counts;
}

function print(replicas: readonly ReplicaRow[], slots: ReadonlyMap<number, number> | undefined) {
  const rows = replicas.map(({ group, campus, state, behind }) => [
    String(group),
    campus,
    state,
    behind === null ? "-" : String(behind),
    slots === undefined ? "-" : String(slots.get(group) ?? 0),
  ]);
  console.log(formatTable(["group", "campus", "state", "behind", "slots"], rows));
}
