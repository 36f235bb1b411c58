/**
 * `tricampus kv rebuild`: the named human act after which a replica that lost its disk, or whose log is
 * damaged, becomes a new member of its group (S3). Its old data is set aside, never removed.
 */
import { ControlTable } from "../../services/control/client.ts";
import { permitRebuild } from "../../services/platform/bootstrap.ts";
import { forcesOf, isKeeper, type Place } from "../../services/platform/force.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { signal } from "../../services/platform/process-facts.ts";
import type { CommandDefinition } from "../command.ts";
import { Inspector, requireRunning } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { groupOption, rowOf } from "../kv/place.ts";
import { printJson } from "../output/json.ts";
import { type PlatformStatus, readStatus } from "./status.ts";

/** Admitted and copied; a store of many gigabytes takes longer, and goes on by itself. */
const WAIT_MS = 120_000;
const POLL_MS = 250;

export const kvRebuildCommand: CommandDefinition = {
  name: "kv rebuild",
  summary: "rebuild a campus's replica of the store from the two others, after it lost its memory",
  arguments: [["<campus>", "name of the campus, like b"]],
  options: [
    ["--group <n>", "the KV group whose replica it is (1)"],
    ["--yes", "do it: the replica forgets what it voted; its data is set aside in its folder"],
  ],
  run: async (call) => {
    const platform = await requireRunning(call.dataDir);
    const campus = call.arguments[0]!;
    if (platform.campus(campus) === undefined) {
      const names = platform.config.campuses.join(", ");
      throw new Failure(EXIT.usage, `there is no campus "${campus}": there are ${names}`);
    }
    const group = groupOption(call, platform);
    const place = { campus, group };
    requireSources(platform, await readStatus(platform), place);
    if (call.options.yes !== true) {
      throw new Failure(
        EXIT.usage,
        `the replica in campus ${campus} would begin anew, from both others: say --yes to do it`,
      );
    }
    await rebuild(platform, place);
    await noteForces(platform);
    if (call.json) printJson({ campus, done: "rebuild" });
    else console.log(`The replica in campus ${campus} was rebuilt and votes again.`);
    return EXIT.ok;
  },
};

/** Both others have to answer: what the lost disk voted, each of them holds a part of. */
function requireSources(platform: Platform, status: PlatformStatus, place: Place): void {
  const { campus, group } = place;
  const { campuses } = platform.config;
  // In a group that was forced its keeper holds everything, and is in trouble as long as it is alone.
  const keeper = campuses.find(
    (name) => name !== campus && isKeeper(platform.config, { campus: name, group }),
  );
  if (keeper !== undefined && (rowOf(status, { campus: keeper, group })?.uptimeMs ?? null) !== null)
    return;
  for (const { campus: other } of status.campuses) {
    const health = rowOf(status, { campus: other, group })?.health ?? "down";
    if (other === campus || health === "ok") continue;
    throw new Failure(
      EXIT.failed,
      `the replica in campus ${other} is ${health}: both others must be well to rebuild ${campus}`,
    );
  }
}

/** What was forced while nobody could write it down is in the audit log from now on. */
async function noteForces(platform: Platform): Promise<void> {
  const inspector = new Inspector(platform);
  try {
    const table = new ControlTable(inspector.callee("kvsvr"));
    for (const force of forcesOf(platform.config)) await table.noteForce(force);
  } finally {
    inspector.stop();
  }
}

async function rebuild(platform: Platform, place: Place): Promise<void> {
  const { campus, group } = place;
  const before = rowOf(await readStatus(platform), place);
  permitRebuild(platform.config, campus, group);
  // Its supervisor starts it again at once; a campus that is down finds the permit when it starts.
  if (before === undefined || before.pid === 0) {
    throw new Failure(
      EXIT.failed,
      `campus ${campus} is down: its replica is rebuilt once \`tricampus campus start ${campus}\` ran`,
    );
  }
  signal(before.pid, "SIGTERM");
  const giveUp = performance.now() + WAIT_MS;
  for (;;) {
    const row = rowOf(await readStatus(platform), place);
    if (row !== undefined && row.pid !== before.pid && row.health === "ok") return;
    if (performance.now() >= giveUp) {
      const why = row?.trouble || row?.health || "it does not run";
      throw new Failure(EXIT.failed, `not rebuilt after ${WAIT_MS / 1_000} s: ${why}; it goes on`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
