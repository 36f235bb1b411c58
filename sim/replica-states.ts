/** What each replica that may serve holds at the end, as lines of the history. */

import { NO_OPERATIONS } from "../services/kvsvr/protocol/operations.ts";
import { isCurrent } from "../services/kvsvr/protocol/register.ts";
import type { Entry } from "../services/kvsvr/storage/entry.ts";
import type { Cluster } from "./cluster.ts";
import type { ReplicaState, SeenRow } from "./history.ts";
import { hex } from "./workload/clients.ts";
import { keyNamed } from "./workload/keys.ts";
import { valueText } from "./workload/values.ts";

const ID_BYTES = 16;
const HEAD_BYTES = 26;

/** What is looked at of a cluster. */
export type Holders = Pick<Cluster, "replicas" | "votes" | "replica">;

/** `isHolder`: the replica is of the KV group that serves the key at the end. */
export function statesOf(
  cluster: Holders,
  keys: readonly string[],
  isHolder: (replica: number, key: string) => boolean = () => true,
): ReplicaState[] {
  return cluster.replicas
    .filter((replica) => cluster.votes(replica))
    .flatMap((replica) => {
      const { state } = cluster.replica(replica)!;
      return keys
        .filter((key) => isHolder(replica, key))
        .map((key) => {
          const entry = state.entry(keyNamed(key));
          const rows = () =>
            [...state.changes(entry, 0)].map(
              (row): SeenRow => [
                hex(row.row),
                row.deleted ? null : valueText(row.value),
                row.version,
              ],
            );
          return stateOf(replica, key, entry, rows);
        });
    });
}

function stateOf(replica: number, key: string, entry: Entry, rows: () => SeenRow[]): ReplicaState {
  const { known, held, heldVersion, heldDigest } = entry.register;
  const base = {
    type: "replica" as const,
    replica,
    key,
    model: held.model,
    known: known.version,
    digest: known.digest,
    held: isCurrent(entry.register) ? known.version : heldVersion,
    heldDigest,
  };
  if (held.model === "none") return { ...base, ids: [] };
  if (held.model === "table") {
    const sorted = rows().sort(([a], [b]) => (a < b ? -1 : 1));
    return { ...base, rows: sorted, ids: idsIn(held.operations.kept) };
  }
  const { deleted, value, operations = NO_OPERATIONS } = held.decision.key;
  return { ...base, value: deleted ? null : valueText(value), ids: idsIn(operations.kept) };
}

/** Packed operations (protocol/operations.ts): id, version, length of the reply, reply. */
export function idsIn(kept: Uint8Array): [string, number][] {
  const bytes = Buffer.from(kept);
  const ids: [string, number][] = [];
  for (let at = 0; at < bytes.length; at += HEAD_BYTES + bytes.readUInt32BE(at + HEAD_BYTES - 4))
    ids.push([hex(bytes.subarray(at, at + ID_BYTES)), bytes.readUIntBE(at + ID_BYTES, 6)]);
  return ids;
}
