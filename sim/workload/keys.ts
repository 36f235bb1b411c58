/** Operations on keys: puts, deletes and compare-and-sets of values that never repeat, and reads. */
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  type Actor,
  drawLevel,
  hex,
  newValue,
  operationIdOf,
  perform,
  type ReadLevel,
  STRONG,
} from "./clients.ts";
import { valueBytes, valueText } from "./values.ts";

const TIMEOUT_MS = 4_000;

export function keyNamed(name: string) {
  return { keyspace: Keyspace.ACCOUNT, key: Buffer.from(name) };
}

/** One random operation on a random key; `deleteShare` of them delete. */
export async function actOnKey(
  actor: Actor,
  keys: readonly string[],
  deleteShare = 0.04,
): Promise<void> {
  const { random } = actor;
  const key = random.pick(keys);
  const roll = random.next();
  if (roll < 0.4) await readKey(actor, key, TIMEOUT_MS, drawLevel(actor));
  else if (roll < 0.94 - deleteShare) await putKey(actor, key, undefined);
  else if (roll < 0.94) await deleteKey(actor, key);
  else await compareAndSet(actor, key);
}

export async function readKey(
  actor: Actor,
  key: string,
  timeoutMs = TIMEOUT_MS,
  { level, told }: ReadLevel = STRONG,
): Promise<boolean> {
  return perform(
    actor,
    { op: "get", key, id: "", ...told },
    () => actor.kv.get({ key: keyNamed(key), level }, { timeoutMs }),
    ({ found, value, version }) =>
      found ? { found, value: valueText(value), version } : { found, version },
  );
}

export function putKey(
  actor: Actor,
  key: string,
  expected: number | undefined,
  timeoutMs = TIMEOUT_MS,
): Promise<boolean> {
  const value = newValue(actor);
  const operationId = operationIdOf(actor);
  const request = {
    key: keyNamed(key),
    write: { case: "put" as const, value: valueBytes(value) },
    expectedVersion: expected,
  };
  return perform(
    actor,
    { op: "put", key, id: hex(operationId), value, ...(expected !== undefined && { expected }) },
    () => actor.kv.write(request, { operationId, timeoutMs }),
    ({ applied, version }) => ({ applied, version }),
  );
}

function deleteKey(actor: Actor, key: string): Promise<boolean> {
  actor.begun += 1;
  const operationId = operationIdOf(actor);
  const request = {
    key: keyNamed(key),
    write: { case: "delete" as const, value: true },
    expectedVersion: undefined,
  };
  return perform(
    actor,
    { op: "delete", key, id: hex(operationId) },
    () => actor.kv.write(request, { operationId, timeoutMs: TIMEOUT_MS }),
    ({ applied, version }) => ({ applied, version }),
  );
}

/** Reads, then writes on the condition that nothing came between. */
async function compareAndSet(actor: Actor, key: string): Promise<void> {
  let seen: number | undefined;
  await perform(
    actor,
    { op: "get", key, id: "" },
    () => actor.kv.get({ key: keyNamed(key), level: Level.STRONG }, { timeoutMs: TIMEOUT_MS }),
    ({ found, value, version }) => {
      seen = version;
      return found ? { found, value: valueText(value), version } : { found, version };
    },
  );
  if (seen !== undefined) await putKey(actor, key, seen);
}
