/** `tricampus replay`: real conversations through the running platform, and the ledger. */
import { existsSync, statSync } from "node:fs";
import type { Platform } from "../../services/platform/platform.ts";
import { type CommandCall, type CommandDefinition, textOption } from "../command.ts";
import { endpointsOf, requireRunning } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
import { type Fault, planFault } from "../replay/fault.ts";
import { type ReplayOutcome, replay } from "../replay/replay.ts";
import { describeResult, isClean } from "../replay/result.ts";
import { stepsOf } from "../replay/steps.ts";
import { CLIENT_OPTIONS, requireServing } from "../session.ts";

export const FAULT_OPTIONS = [
  ["--kill-campus <campus>", "kill -9 its processes on the way, and start it again"],
  ["--cut-campus <campus>", "let it fall silent on the way, and join it again"],
  ["--freeze-campus <campus>", "stop its processes with SIGSTOP on the way, and let them go on"],
  ["--at <share>", "of all messages at which that begins; default 30%"],
  ["--back-at <share>", "of all messages at which it ends; default 70%"],
] as const;

export const replayCommand: CommandDefinition = {
  name: "replay",
  summary: "send chat logs through the platform and prove who got what: exactly once, in order",
  arguments: [["<files...>", "logs: `[HH:MM] <nick> text` or `[HH:MM]  * nick text`"]],
  options: [
    ...FAULT_OPTIONS,
    ["--limit <messages>", "only the first so many of each log"],
    ["--over <seconds>", "spread the messages over this time; default: as fast as it goes"],
    ["--timeline", "print what happened second by second"],
    ...CLIENT_OPTIONS,
  ],
  run: async (call) => {
    const logPaths = checkFiles(call.arguments);
    const fault = readFault(call);
    const platform = fault === undefined ? undefined : await requireRunning(call.dataDir);
    await requireServing(call);
    const settings = {
      logPaths,
      endpoints: await endpointsOf(call),
      limit: numberOption(call, "limit") ?? Infinity,
      overSeconds: numberOption(call, "over") ?? 0,
      steps: fault === undefined ? [] : checkedSteps(fault, platform!),
      progress: (line: string) => console.error(line),
    };
    const outcome = await interruptible((signal) => replay({ ...settings, signal }));
    if (call.options.timeline === true || fault !== undefined) printTimeline(outcome, call.json);
    printOutcome(outcome, call.json);
    return isClean(outcome.result) ? EXIT.ok : EXIT.failed;
  },
};

export function printOutcome({ result, findings, storesDir }: ReplayOutcome, json: boolean): void {
  for (const finding of findings) console.error(finding);
  if (storesDir !== undefined) console.error(`the devices' stores are kept in ${storesDir}`);
  if (json) printJson(result);
  else console.log(describeResult(result));
}

export function printTimeline({ timeline }: ReplayOutcome, json: boolean): void {
  const head = ["time", "acked", "delivered", "worst ack", "", "what happened"];
  const table = formatTable(head, timeline.rows());
  if (json) console.error(table);
  else console.log(table);
}

function checkFiles(paths: readonly string[]): readonly string[] {
  const missing = paths.find((path) => !existsSync(path) || !statSync(path).isFile());
  if (missing === undefined) return paths;
  throw new Failure(EXIT.usage, `${missing} is no file; name chat logs to replay`);
}

export function readFault(call: CommandCall): Fault | undefined {
  const option = (name: string) => textOption(call, name);
  const fault = planFault({
    killCampus: option("killCampus"),
    cutCampus: option("cutCampus"),
    freezeCampus: option("freezeCampus"),
    at: option("at"),
    backAt: option("backAt"),
  });
  if (fault instanceof Error) throw new Failure(EXIT.usage, fault.message);
  return fault;
}

export function checkedSteps(fault: Fault, platform: Platform) {
  if (platform.campus(fault.campus) === undefined) {
    const names = platform.config.campuses.join(", ");
    throw new Failure(EXIT.usage, `there is no campus "${fault.campus}": there are ${names}`);
  }
  return stepsOf(fault, platform);
}

export function numberOption(call: CommandCall, name: string): number | undefined {
  const given = textOption(call, name);
  if (given === undefined) return undefined;
  const value = Number(given);
  if (Number.isFinite(value) && value > 0) return value;
  throw new Failure(EXIT.usage, `--${name} ${given}: give a number above 0`);
}
