/**
 * `tricampus kv force`: the named human act for the day when two campuses are gone for good. The group
 * goes on from the replica that is left; what that one never received is lost.
 */
import {
  forcesOf,
  type Place,
  permitForce,
  type Survivor,
  survivorOf,
} from "../../services/platform/force.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { signal } from "../../services/platform/process-facts.ts";
import { AS, whoOf } from "../act.ts";
import { parseWords } from "../block-arguments.ts";
import { asCalled } from "../called.ts";
import { type CommandDefinition, textOption } from "../command.ts";
import { requirePlatform } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { groupOption, rowOf } from "../kv/place.ts";
import { printJson } from "../output/json.ts";
import { type PlatformStatus, readStatus } from "./status.ts";

const WAIT_MS = 30_000;
const POLL_MS = 100;

const NOT_IN_CLUSTERS =
  "this is for a platform on one machine: forcing a cluster's group is not there yet; keep the last " +
  "replica's volume, it has all there is";

export const kvForceCommand: CommandDefinition = {
  name: "kv force",
  summary: "go on from the only replica that is left: when two campuses are gone for good",
  arguments: [["<campus>", "name of the campus whose replica is left, like b"]],
  options: [
    ["--why <words>", "for the audit log"],
    AS,
    ["--group <n>", "the KV group (1)"],
    ["--yes", "do it: what only the two others had is lost, and their disks are excluded for good"],
  ],
  run: async (call) => {
    if (call.context !== undefined) throw new Failure(EXIT.usage, NOT_IN_CLUSTERS);
    const platform = requirePlatform(call.dataDir);
    const campus = call.arguments[0]!;
    const { campuses } = platform.config;
    if (!campuses.includes(campus)) {
      const message = `there is no campus "${campus}": there are ${campuses.join(", ")}`;
      throw new Failure(EXIT.usage, message);
    }
    const place = { campus, group: groupOption(call, platform) };
    const status = await readStatus(platform);
    requireOthersGone(status, campus);
    const survivor = survivorOf(platform.config, place);
    if (survivor.unfit !== undefined) {
      const message = `the replica in campus ${campus} cannot keep the group: ${survivor.unfit}`;
      throw new Failure(EXIT.failed, message);
    }
    const losses = describeLosses(survivor, campus, rowOf(status, place)?.behind ?? null);
    if (!call.json) for (const line of losses) console.log(asCalled(line));
    if (call.options.yes !== true)
      throw new Failure(EXIT.usage, "nothing was done: say --yes and --why to do it");
    const said = { who: whoOf(call), why: parseWords("--why", textOption(call, "why")) };
    const epoch = await force(platform, place, said);
    const others = campuses.filter((other) => other !== campus).join(" or ");
    if (call.json) printJson({ ...place, epoch, losses });
    else console.log(`Forced: group epoch ${epoch}. Serves once ${others} is rebuilt from it.`);
    return EXIT.ok;
  },
};

/** Two halves of a group must not go on side by side. */
function requireOthersGone({ campuses }: PlatformStatus, survivor: string): void {
  const left = campuses.find(({ campus, state }) => campus !== survivor && state !== "down");
  if (left === undefined) return;
  throw new Failure(
    EXIT.failed,
    `campus ${left.campus} is ${left.state}: its replica may hold what ${survivor} does not; ` +
      `let it serve, or, if its disk is lost, \`tricampus campus kill ${left.campus}\` first`,
  );
}

function describeLosses({ heardAtMs }: Survivor, campus: string, behind: number | null): string[] {
  const heard =
    heardAtMs === 0
      ? "has never heard from the others"
      : `last heard from the others at ${new Date(heardAtMs).toISOString()}`;
  const known = behind === null ? "versions" : `versions (of ${behind} keys at present)`;
  return [
    `The replica in campus ${campus} ${heard}; while they write they tell it every 5 s.`,
    "Lost: what both others acknowledged and it had not received by then.",
    `Lost: ${known} that it knows of and does not hold; what it holds goes on.`,
    "Kept: values that it has accepted, decided or not, are taken for decided.",
    "Excluded for good: the two other disks; their campuses come back by `tricampus kv rebuild`.",
  ];
}

async function force(
  platform: Platform,
  place: Place,
  said: { who: string; why: string },
): Promise<number> {
  const { campus } = place;
  const before = rowOf(await readStatus(platform), place);
  const act = permitForce(platform.config, place, said);
  if (before === undefined || before.pid === 0) {
    const start = `tricampus campus start ${campus}`;
    throw new Failure(EXIT.failed, `campus ${campus} is down: it is forced once \`${start}\` ran`);
  }
  // Its supervisor starts it again at once.
  signal(before.pid, "SIGTERM");
  const giveUp = performance.now() + WAIT_MS;
  for (;;) {
    const done = forcesOf(platform.config).find((one) => one.act === act);
    const row = rowOf(await readStatus(platform), place);
    const isUp = row !== undefined && row.pid !== before.pid && row.uptimeMs !== null;
    if (done !== undefined && isUp) return done.epoch;
    if (performance.now() >= giveUp) {
      const message = `not forced after ${WAIT_MS / 1_000} s: see the log of ${campus}/kvsvr`;
      throw new Failure(EXIT.failed, message);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
