/** What each real replica holds at the end, as lines of the history; first they get time to agree. */
import { openDecision } from "../services/kvsvr/protocol/decision.ts";
import type { ReplicasClient } from "../services/kvsvr/replicas-client.ts";
import { rest } from "../services/svrkit/rest.ts";
import type { ReplicaState, SeenRow } from "../sim/history.ts";
import { idsIn } from "../sim/replica-states.ts";
import { hex } from "../sim/workload/clients.ts";
import { keyNamed } from "../sim/workload/keys.ts";
import { valueText } from "../sim/workload/values.ts";
import { REPLICAS } from "./cluster.ts";

const LOOK_AGAIN_MS = 200;
const KEYS_A_QUERY = 200;

export async function statesOf(
  replicas: ReplicasClient,
  keys: readonly string[],
  agreeWithinMs: number,
): Promise<ReplicaState[]> {
  await untilTheyAgree(replicas, keys, agreeWithinMs);
  const states: ReplicaState[] = [];
  for (const replica of REPLICAS)
    for (const key of keys) states.push(await stateOf(replicas, replica, key));
  return states;
}

async function untilTheyAgree(
  replicas: ReplicasClient,
  keys: readonly string[],
  withinMs: number,
): Promise<void> {
  const giveUp = performance.now() + withinMs;
  for (let at = 0; at < keys.length; ) {
    const some = keys.slice(at, at + KEYS_A_QUERY).map(keyNamed);
    const answers = await Promise.all(REPLICAS.map((replica) => replicas.query(replica, some)));
    const isSame = some.every((_, i) => {
      const own = answers.map((answer) => answer[i]!);
      return own.every((one) => one.knownDigest === own[0]!.knownDigest && one.holds);
    });
    if (isSame || performance.now() > giveUp) at += KEYS_A_QUERY;
    else await rest(LOOK_AGAIN_MS);
  }
}

async function stateOf(
  replicas: ReplicasClient,
  replica: number,
  name: string,
): Promise<ReplicaState> {
  const key = keyNamed(name);
  const [seen] = await replicas.query(replica, [key]);
  const parts = await replicas.fetch(replica, key);
  const last = parts.at(-1);
  const { knownVersion, knownDigest, holds } = seen!;
  const base = {
    type: "replica" as const,
    replica,
    key: name,
    known: knownVersion,
    digest: knownDigest,
    held: holds ? knownVersion : (last?.version ?? 0),
    heldDigest: last?.digest ?? 0,
  };
  if (last?.body === undefined) return { ...base, model: "none", ids: [] };
  if (last.body.case === "decision") {
    const { deleted, value, operations } = openDecision(last.body.value).key;
    const ids = operations === undefined ? [] : idsIn(operations.kept);
    return { ...base, model: "key", value: deleted ? null : valueText(value), ids };
  }
  const { operations } = last.body.value;
  const ids = operations === undefined ? [] : idsIn(operations.kept);
  const rows = parts.flatMap(({ body }) => (body?.case === "table" ? body.value.rows : []));
  const seenRows = rows.map(({ row, value, deleted, version }): SeenRow => {
    return [hex(row), deleted ? null : valueText(value), version];
  });
  seenRows.sort(([a], [b]) => (a < b ? -1 : 1));
  return { ...base, model: "table", rows: seenRows, ids };
}
