/**
 * `tricampus queue rebuild`: the named human act after which a campus's queue log that lost its disk, or is
 * damaged, begins anew, from both others. Its old data is set aside, never removed; in a cluster its volume is.
 */
import { permitLogRebuild } from "../../services/platform/bootstrap.ts";
import { planLayout } from "../../services/platform/layout.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { QUEUE_LOGS, type QueueLogName } from "../../services/platform/services.ts";
import { AS } from "../act.ts";
import { replaceLogs } from "../cluster/replace-logs.ts";
import { type CommandDefinition, numberOption } from "../command.ts";
import { requireRunning } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";
import { beginAnew, processRow, requireCampus } from "../rebuilding.ts";
import { type PlatformStatus, readStatus } from "./status.ts";

export const queueRebuildCommand: CommandDefinition = {
  name: "queue rebuild",
  summary: "rebuild a campus's queue logs from the two others, after they lost their disk",
  arguments: [["<campus>", "name of the campus, like b"]],
  options: [
    ["--group <n>", "only the log of this queue group: 1 or 2; in a cluster always both"],
    ["--why <words>", "in a cluster: for the events and the status"],
    AS,
    [
      "--yes",
      "do it: the log forgets what it granted; its data is set aside in its folder; in a cluster it is deleted",
    ],
  ],
  run: async (call) => {
    if (call.context !== undefined) return replaceLogs(call);
    const platform = await requireRunning(call.dataDir);
    const campus = call.arguments[0]!;
    requireCampus(platform, campus);
    const logs = logsOf(numberOption(call, "group"));
    const holders = new Set(logs.map((log) => processOf(platform, campus, log)));
    requireOthers(platform, await readStatus(platform), { campus, logs });
    if (call.options.yes !== true) {
      throw new Failure(
        EXIT.usage,
        `${logs.join(" and ")} in campus ${campus} would begin anew, from both others: say --yes to do it`,
      );
    }
    for (const name of holders) {
      const held = logs.filter((log) => processOf(platform, campus, log) === name);
      await beginAnew(platform, name, () => {
        for (const log of held) permitLogRebuild(platform.config, campus, log);
      });
    }
    if (call.json) printJson({ campus, done: "rebuild", logs });
    else console.log(`${logs.join(" and ")} in campus ${campus}: rebuilt, and granting again.`);
    return EXIT.ok;
  },
};

function logsOf(group: number | undefined): readonly QueueLogName[] {
  if (group === undefined) return QUEUE_LOGS;
  const log = QUEUE_LOGS[group - 1];
  if (log !== undefined) return [log];
  throw new Failure(EXIT.usage, `there is no queue group ${group}: there are 1 and 2`);
}

function processOf({ config }: Platform, campus: string, log: QueueLogName): string {
  const { processes } = planLayout(config);
  return processes.find((one) => one.campus === campus && one.services.includes(log))!.name;
}

/** What the lost disk granted, each of the two others holds a part of. */
function requireOthers(
  platform: Platform,
  status: PlatformStatus,
  { campus, logs }: { campus: string; logs: readonly QueueLogName[] },
): void {
  for (const other of platform.config.campuses) {
    if (other === campus) continue;
    for (const log of logs) {
      const row = processRow(status, processOf(platform, other, log));
      if (row !== undefined && row.pid !== 0 && !row.trouble.includes(log)) continue;
      const how = row?.trouble || row?.health || "down";
      throw new Failure(
        EXIT.failed,
        `${log} in campus ${other} is not well (${how}): both others must be to rebuild ${campus}`,
      );
    }
  }
}
