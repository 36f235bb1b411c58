/**
 * `tricampus kv rebuild`: the named human act after which a replica that lost its disk, or whose log is
 * damaged, becomes a new member of its group (S3). Its old data is set aside, never removed.
 */
import { ControlTable } from "../../services/control/client.ts";
import { permitRebuild } from "../../services/platform/bootstrap.ts";
import { forcesOf, isKeeper, type Place } from "../../services/platform/force.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import type { CommandDefinition } from "../command.ts";
import { Inspector, requireRunning } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { groupOption, rowOf } from "../kv/place.ts";
import { printJson } from "../output/json.ts";
import { beginAnew, requireCampus } from "../rebuilding.ts";
import { type PlatformStatus, readStatus } from "./status.ts";

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
    requireCampus(platform, campus);
    const group = groupOption(call, platform);
    const place = { campus, group };
    requireSources(platform, await readStatus(platform), place);
    if (call.options.yes !== true) {
      throw new Failure(
        EXIT.usage,
        `the replica in campus ${campus} would begin anew, from both others: say --yes to do it`,
      );
    }
    await beginAnew(platform, `${campus}/${KV_GROUPS[group - 1]}`, () => {
      permitRebuild(platform.config, campus, group);
    });
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
