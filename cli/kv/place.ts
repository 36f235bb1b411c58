/** Which replica a command is about: a campus and a KV group. */
import type { Place } from "../../services/platform/force.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import { type CommandCall, numberOption } from "../command.ts";
import type { PlatformStatus } from "../commands/status.ts";
import { EXIT, Failure } from "../failure.ts";

/** The group said with --group, or the first one. */
export function groupOption(call: CommandCall, platform: Platform): number {
  const group = numberOption(call, "group") ?? 1;
  if (group >= 1 && group <= platform.config.kvGroups) return group;
  throw new Failure(EXIT.usage, `there is no KV group ${group}: see \`tricampus slots show\``);
}

/** The replica's process, if the campus tells of it. */
export function rowOf({ processes }: PlatformStatus, { campus, group }: Place) {
  return processes.find(({ process }) => process === `${campus}/${KV_GROUPS[group - 1]}`);
}
