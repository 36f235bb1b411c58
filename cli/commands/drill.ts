/** `tricampus drill run | verdict`: a planned block with a verdict, a report and its raw data. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../services/platform/paths.ts";
import { AS, whoOf } from "../act.ts";
import { parseDuration, parseTarget, parseWords } from "../block-arguments.ts";
import { type CommandCall, type CommandDefinition, textOption } from "../command.ts";
import { reach } from "../connect.ts";
import { type DrillSettings, runDrill } from "../drill/drill.ts";
import { evidenceSchema } from "../drill/evidence-file.ts";
import type { Evidence } from "../drill/plan/evidence.ts";
import { BUSY_PERCENT_MAX } from "../drill/plan/pre-checks.ts";
import { reportOf } from "../drill/plan/report.ts";
import { type Judgement, judge } from "../drill/plan/verdict.ts";
import { parseTime } from "../duration.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { printJson } from "../output/json.ts";

const BEFORE_MS = 20_000;
const AFTER_MS = 10_000;
const FOR_HOURS_MAX = 23;
const LOOK_MS_MAX = 24 * 3_600_000;

const runCommand: CommandDefinition = {
  name: "drill run",
  summary: "block a campus for a time, watch, and say whether a client would have noticed",
  arguments: [["<campus>", "name of the campus, like b"]],
  options: [
    ["--for <time>", "how long it is blocked: 30s, 5m; at most 23h"],
    ["--service <name>", "only this service of the campus, like text"],
    ["--before <time>", "how long what is usual is looked at first; default 20s"],
    ["--after <time>", "how long what comes back is looked at; default 10s"],
    ["--busy-max <percent>", "of one core, for the busiest process without the campus; default 90"],
    ["--why <words>", "for status, the audit log and the report; default: a drill"],
    ["--report <dir>", "a new folder for report.md and evidence.json; default: in the data folder"],
    AS,
  ],
  run: async (call) => {
    const reached = await reach(call);
    try {
      const evidence = await interruptible((signal) =>
        runDrill(reached, settingsOf(call, reached.campuses, signal)),
      );
      const judgement = judge(evidence);
      const dir = write(call, evidence, judgement);
      return show(call, judgement, { campus: evidence.campus, report: join(dir, "report.md") });
    } finally {
      reached.stop();
    }
  },
};

const verdictCommand: CommandDefinition = {
  name: "drill verdict",
  summary: "make a drill's verdict again from its evidence",
  arguments: [["<file>", "its evidence.json"]],
  run: async (call) => {
    const file = call.arguments[0]!;
    const evidence = readEvidence(file);
    return show(call, judge(evidence), { campus: evidence.campus, evidence: file });
  },
};

export const drillCommands: readonly CommandDefinition[] = [runCommand, verdictCommand];

function settingsOf(
  call: CommandCall,
  campuses: readonly string[],
  signal: AbortSignal,
): DrillSettings {
  const service = textOption(call, "service");
  const [campus = ""] = call.arguments;
  const target = parseTarget(service === undefined ? campus : `${campus}/${service}`, campuses);
  const busyPercentMax = Number(textOption(call, "busyMax") ?? BUSY_PERCENT_MAX);
  if (!(busyPercentMax > 0 && busyPercentMax <= 1_000))
    throw new Failure(EXIT.usage, "--busy-max: give a percentage of one core, 1 to 1000");
  const forMs = parseDuration(textOption(call, "for"), FOR_HOURS_MAX);
  return {
    target,
    forMs,
    beforeMs: timeOption(call, "before", BEFORE_MS),
    afterMs: timeOption(call, "after", AFTER_MS),
    busyPercentMax,
    who: whoOf(call),
    why: parseWords("--why", textOption(call, "why") ?? "a drill"),
    signal,
    progress: (line) => console.error(line),
  };
}

function timeOption(call: CommandCall, name: "before" | "after", otherwise: number): number {
  const text = textOption(call, name);
  return text === undefined ? otherwise : parseTime(`--${name}`, text, LOOK_MS_MAX);
}

function write(call: CommandCall, evidence: Evidence, judgement: Judgement): string {
  const { startedAt, campus, service } = evidence;
  const name = `${startedAt.replaceAll(/[:.]/g, "-")}-${campus}${service && `-${service}`}`;
  const dir = textOption(call, "report") ?? join(paths.drills(call.dataDir), name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "evidence.json"), JSON.stringify(evidence));
  writeFileSync(join(dir, "report.md"), reportOf(evidence, judgement));
  return dir;
}

function show(
  call: CommandCall,
  { verdict, why, figures }: Judgement,
  where: Record<string, string>,
): ExitCode {
  if (call.json) printJson({ verdict, why, figures, ...where });
  else {
    console.log(`${verdict}: ${why}.`);
    for (const [name, value] of Object.entries(where))
      if (name !== "campus") console.log(`${name}: ${value}`);
  }
  return verdict === "Passed" ? EXIT.ok : EXIT.failed;
}

function readEvidence(path: string): Evidence {
  try {
    return evidenceSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  } catch (error) {
    const [line] = (error as Error).message.split("\n");
    throw new Failure(EXIT.usage, `${path} is no evidence of a drill: ${line}`);
  }
}
