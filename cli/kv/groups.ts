/** Which KV groups hold data, and which keys. */
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { SlotsClient } from "../../services/control/slots-client.ts";
import { slotOf } from "../../services/kvsvr/client.ts";
import { FIRST_GROUP, Shards } from "../../services/svrkit/failover/shards.ts";
import type { Reach } from "../reach.ts";

/** Read once; where there is one group nothing has to be asked. */
export async function readShards(reached: Reach): Promise<Shards> {
  const shards = new Shards();
  if (reached.kvGroups.length > 1) {
    const known = await new SlotsClient(reached.callee("kvsvr")).shards();
    shards.set(known.shards, known.move);
  }
  return shards;
}

/** In the order of their numbers; one without slots may have come just now, or be gone. */
export function groupsThatHold(
  kvGroups: readonly number[],
  { all, move }: Pick<Shards, "all" | "move">,
): number[] {
  const holding = new Set([FIRST_GROUP, ...all.map(({ group }) => group)]);
  return kvGroups.filter((group) => move !== 0 || holding.has(group));
}

/** The group that serves a key, as far as is known here. */
export function groupOf(shards: Shards, { keyspace, key }: Key): number {
  return shards.isWhole ? FIRST_GROUP : shards.groupOf(keyspace, slotOf(key));
}
