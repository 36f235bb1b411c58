/** Users drawn by chance: from slots of the inbox keyspace, whichever KV group serves them. */
import { type Key, Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import type { Callee } from "../../services/svrkit/client.ts";
import { SLOTS } from "../../services/svrkit/failover/shards.ts";
import { groupOf } from "../kv/groups.ts";
import type { OperatorParts } from "../kv/store.ts";

const TIMEOUT_MS = 5_000;
const PAGE = 200;
/** One user in so many of a page: the neighbours in a slot are not all of the sample. */
const OF_A_PAGE_MAX = 5;
/** Slots in a row without a user: there are no more. */
const EMPTY_MAX = 200;

/** Up to `count` different user ids; fewer when there are not so many. */
export async function sampleUsers(
  { inspector, shards }: OperatorParts,
  count: number,
  random: () => number,
): Promise<string[]> {
  const found = new Set<string>();
  for (let empty = 0; found.size < count && empty < EMPTY_MAX; ) {
    const slot = Math.floor(random() * SLOTS);
    const group = shards.isWhole ? 1 : shards.groupOf(Keyspace.INBOX, slot);
    const keys = await listInboxes(inspector.callee(KV_GROUPS[group - 1]!), slot);
    const served = keys.filter((key) => groupOf(shards, key) === group);
    const before = found.size;
    for (const { key } of served.slice(0, OF_A_PAGE_MAX))
      if (found.size < count) found.add(Buffer.from(key).toString());
    empty = found.size > before ? 0 : empty + 1;
  }
  return [...found];
}

/** Inboxes from a slot on. */
async function listInboxes(replica: Callee, slot: number): Promise<Key[]> {
  const cursor = Buffer.from([Keyspace.INBOX, slot >> 8, slot & 0xff]);
  const request = { cursor, limit: PAGE, epoch: 0 };
  const { versions } = await replica.call(Replica.listVersions, request, { timeoutMs: TIMEOUT_MS });
  return versions.flatMap(({ key }) => (key?.keyspace === Keyspace.INBOX ? [key] : []));
}
