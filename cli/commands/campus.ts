/** `tricampus campus ...`: takes a campus down in the ways a campus can go, and brings it back. */
import type { Campus } from "../../services/platform/campus.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { asCalled } from "../called.ts";
import type { CommandDefinition } from "../command.ts";
import { requirePlatform } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";
import { LATE_ADVICE, Waiting } from "../output/waiting.ts";

const READY_TIMEOUT_MS = 30_000;

interface Verb {
  readonly summary: string;
  readonly done: string;
  /** The verb that undoes it, and what that does. */
  readonly undo?: readonly [verb: string, does: string];
  /** States in which there is something to do. */
  readonly from: readonly string[];
  readonly carryOut: (campus: Campus, platform: Platform) => Promise<void> | void;
}

const VERBS: Readonly<Record<string, Verb>> = {
  kill: {
    summary: "kill -9 the campus's whole process tree",
    done: "killed",
    undo: ["start", "brings it back"],
    from: ["running", "cut", "frozen", "silent"],
    carryOut: (campus) => campus.kill(),
  },
  start: {
    summary: "start a campus that is down and wait until it serves",
    done: "started",
    from: ["down"],
    carryOut: async (campus) => {
      await campus.start();
      await waitReady(campus);
    },
  },
  cut: {
    summary: "cut the campus off from everyone else, connections left open",
    done: "cut off",
    undo: ["join", "joins it again"],
    from: ["running"],
    carryOut: (campus) => campus.cut(),
  },
  join: {
    summary: "join a campus that was cut off",
    done: "joined",
    from: ["cut"],
    carryOut: (campus) => campus.join(),
  },
  freeze: {
    summary: "stop the campus's whole process tree with SIGSTOP",
    done: "frozen",
    undo: ["thaw", "lets it go on"],
    from: ["running", "cut", "silent"],
    carryOut: (campus) => campus.freeze(),
  },
  thaw: {
    summary: "let a frozen campus go on",
    done: "thawed",
    from: ["frozen"],
    carryOut: (campus) => campus.thaw(),
  },
};

export const campusCommands: readonly CommandDefinition[] = Object.entries(VERBS).map(
  ([name, verb]) => ({
    name: `campus ${name}`,
    summary: verb.summary,
    arguments: [["<campus>", "name of the campus, like b"]] as const,
    run: async (call) => {
      const platform = requirePlatform(call.dataDir);
      const campus = requireCampus(platform, call.arguments[0]!);
      const before = (await campus.report()).state;
      if (!verb.from.includes(before)) {
        throw new Failure(EXIT.failed, `campus ${campus.name} is ${before}: nothing to ${name}`);
      }
      await verb.carryOut(campus, platform);
      if (call.json) printJson({ campus: campus.name, done: name });
      else console.log(asCalled(`Campus ${campus.name} ${verb.done}${wayBack(verb, campus)}.`));
      return EXIT.ok;
    },
  }),
);

function wayBack({ undo }: Verb, { name }: Campus): string {
  return undo === undefined ? "" : `; \`tricampus campus ${undo[0]} ${name}\` ${undo[1]}`;
}

function requireCampus(platform: Platform, name: string): Campus {
  const campus = platform.campus(name);
  if (campus !== undefined) return campus;
  throw new Failure(
    EXIT.usage,
    `there is no campus "${name}": there are ${platform.config.campuses.join(", ")}`,
  );
}

async function waitReady(campus: Campus): Promise<void> {
  const giveUp = performance.now() + READY_TIMEOUT_MS;
  const waiting = new Waiting();
  for (;;) {
    const { processes } = await campus.report();
    const late = processes.filter((process) => process.state !== "ready");
    if (processes.length > 0 && late.length === 0) return;
    const names = late.map((process) => process.name).join(", ") || "its processes";
    if (performance.now() >= giveUp)
      throw new Failure(EXIT.failed, `not ready after 30 s: ${names}; ${LATE_ADVICE}`);
    waiting.tell(`${names} not ready yet`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
