/**
 * May a replica of the store be left out? Only when both others serve and hold everything they know
 * of: as long as the block stands, they are the quorum.
 */
import { Keyspace, Kv, Level } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KV_GROUPS } from "../services/platform/services.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import { rest } from "../services/svrkit/rest.ts";
import type { Target } from "./block-arguments.ts";
import { EXIT, Failure } from "./failure.ts";
import { groupsThatHold, readShards } from "./kv/groups.ts";
import type { Reach } from "./reach.ts";

/** Any key: what counts is that the replica serves it, confirmed by another one. */
const KEY = { keyspace: Keyspace.CONTROL, key: Buffer.from("platform/first-test") };
const READ_TIMEOUT_MS = 1_000;
/** Under load a replica is a few versions behind for a moment, again and again. */
const PATIENCE_MS = 3_000;
const PAUSE_MS = 100;

/** Throws when blocking the target would leave out a replica that is needed. */
export async function requireCaughtUp(reached: Reach, { campus, service }: Target): Promise<void> {
  const holding = groupsThatHold(reached.kvGroups, await readShards(reached));
  const all = holding.map((number) => KV_GROUPS[number - 1]!);
  const groups = all.filter((group) => service === "" || service === group);
  const others = reached.campuses.filter((name) => name !== campus);
  const asked = groups.flatMap((group) => others.map((name) => ({ group, campus: name })));
  const reasons = await Promise.all(asked.map((one) => whyNot(reached, one)));
  const reason = reasons.find((found) => found !== undefined);
  if (reason === undefined) return;
  throw new Failure(
    EXIT.failed,
    `${reason}, and is needed without campus ${campus}: wait, or add --force`,
  );
}

/** Why a replica does not serve; one that says that another group has the key does. */
export async function whyNotServing(
  reached: Reach,
  { group, campus }: { group: (typeof KV_GROUPS)[number]; campus: string },
): Promise<string | undefined> {
  try {
    const request = { key: KEY, level: Level.STRONG };
    const options = { timeoutMs: READ_TIMEOUT_MS };
    await reached.callee(group, campus).call(Kv.get, request, options);
    return undefined;
  } catch (thrown) {
    const error = RpcError.from(thrown);
    return error.code === "MOVED" ? undefined : error.message;
  }
}

/** Why a campus's replica cannot be relied on; undefined when it can. */
async function whyNot(
  reached: Reach,
  place: { group: (typeof KV_GROUPS)[number]; campus: string },
): Promise<string | undefined> {
  const { group, campus } = place;
  const which = group === "kvsvr" ? "replica" : `replica of ${group}`;
  const replica = `the store's ${which} in campus ${campus}`;
  const { name } = reached.processes.find(
    (p) => p.campus === campus && p.services.includes(group),
  )!;
  const giveUpMs = performance.now() + PATIENCE_MS;
  for (;;) {
    const refusal = await whyNotServing(reached, place);
    if (refusal === undefined) break;
    // On a busy machine one read may be late; a replica that is gone answers none.
    if (performance.now() >= giveUpMs) return `${replica} does not serve (${refusal})`;
    await rest(PAUSE_MS);
  }
  for (;;) {
    const status = (await reached.statuses(new Set([name]))).get(name);
    const behind = status?.monitors.find((monitor) => monitor.name === "kvsvr.behind")?.value;
    if (behind === 0) return undefined;
    if (performance.now() >= giveUpMs) {
      return behind === undefined ? `${replica} is silent` : `${replica} is ${behind} keys behind`;
    }
    await rest(PAUSE_MS);
  }
}
