/**
 * May a replica of the store be left out? Only when both others serve and hold everything they know
 * of: as long as the block stands, they are the quorum.
 */
import { Keyspace, Kv, Level } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { planLayout } from "../services/platform/layout.ts";
import type { Platform } from "../services/platform/platform.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import type { Target } from "./block-arguments.ts";
import type { Inspector } from "./connect.ts";
import { EXIT, Failure } from "./failure.ts";

/** Any key: what counts is that the replica serves it, confirmed by another one. */
const KEY = { keyspace: Keyspace.CONTROL, key: Buffer.from("platform/first-test") };
const READ_TIMEOUT_MS = 1_000;
/** Under load a replica is a few versions behind for a moment, again and again. */
const PATIENCE_MS = 3_000;
const PAUSE_MS = 100;

/** Throws when blocking the target would leave out a replica that is needed. */
export async function requireCaughtUp(
  platform: Platform,
  inspector: Inspector,
  { campus, service }: Target,
): Promise<void> {
  if (service !== "" && service !== "kvsvr") return;
  const others = platform.config.campuses.filter((name) => name !== campus);
  const reasons = await Promise.all(others.map((name) => whyNot(platform, inspector, name)));
  const reason = reasons.find((found) => found !== undefined);
  if (reason === undefined) return;
  throw new Failure(
    EXIT.failed,
    `${reason}, and is needed without campus ${campus}: wait, or add --force`,
  );
}

/** Why a campus's replica cannot be relied on; undefined when it can. */
async function whyNot(
  platform: Platform,
  inspector: Inspector,
  campus: string,
): Promise<string | undefined> {
  const replica = `the store's replica in campus ${campus}`;
  const { processes } = planLayout(platform.config);
  const { name } = processes.find((p) => p.campus === campus && p.services.includes("kvsvr"))!;
  const giveUpMs = performance.now() + PATIENCE_MS;
  try {
    const request = { key: KEY, level: Level.STRONG };
    const options = { timeoutMs: READ_TIMEOUT_MS };
    await inspector.callee("kvsvr", campus).call(Kv.get, request, options);
  } catch (error) {
    return `${replica} does not serve (${RpcError.from(error).message})`;
  }
  for (;;) {
    const status = (await inspector.statuses(new Set([name]))).get(name);
    const behind = status?.monitors.find((monitor) => monitor.name === "kvsvr.behind")?.value;
    if (behind === 0) return undefined;
    if (performance.now() >= giveUpMs) {
      return behind === undefined ? `${replica} is silent` : `${replica} is ${behind} keys behind`;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
