/** `tricampus load`: many people at once, as fast as asked for, and the ledger. */
import { Platform } from "../../services/platform/platform.ts";
import { Random } from "../../services/svrkit/seeded-random.ts";
import { type CommandCall, type CommandDefinition, textOption } from "../command.ts";
import { endpointsOf, requireRunning } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { runLoad } from "../load/load.ts";
import { PROFILES, type Profile, scaleProfile } from "../load/profile.ts";
import { describeResult, isClean, resultOf } from "../load/result.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";
import type { Fault } from "../replay/fault.ts";
import type { Step } from "../replay/steps.ts";
import { CLIENT_OPTIONS, requireServing } from "../session.ts";
import { checkedSteps, FAULT_OPTIONS, numberOption, readFault } from "./replay.ts";

const GENERATORS = 2;
const GENERATORS_MAX = 64;
/** A search's goal when none is named: what a sender takes for "at once". */
const P99_MS = 150;

export const loadCommand: CommandDefinition = {
  name: "load",
  summary:
    "put a load on the platform, open loop, and prove who got what; without a name: the profiles",
  arguments: [["[profile]", "W1, W2, W4-W8, direct, group, ..."]],
  options: [
    ["--factor <number>", "scales people, conversations and rates; default 0.1"],
    ["--rate <sends>", "sends a second, instead of the profile's"],
    ["--seconds <number>", "how long, instead of the profile's; of a search: each step"],
    ["--generators <number>", `processes that make the load; default ${GENERATORS}`],
    ["--p99 <ms>", `W6: the 99th percentile that is still good; default ${P99_MS}`],
    ...FAULT_OPTIONS,
    ...CLIENT_OPTIONS,
  ],
  run: async (call) => {
    const name = call.arguments[0];
    if (name === undefined) return listProfiles(call);
    const { profile, factor } = readProfile(call, name);
    const local = call.context === undefined && textOption(call, "endpoints") === undefined;
    const platform = local ? await requireRunning(call.dataDir) : undefined;
    await requireServing(call);
    const settings = {
      ...{ profile, platform, steps: planSteps(call, profile) },
      endpoints: await endpointsOf(call),
      generators: Math.min(numberOption(call, "generators") ?? GENERATORS, GENERATORS_MAX),
      p99MsMax: numberOption(call, "p99") ?? P99_MS,
      progress: (line: string) => console.error(line),
    };
    const outcome = await interruptible((signal) => runLoad({ ...settings, signal }));
    const result = resultOf(outcome, { profile, factor });
    const { timeline, failures } = outcome.meter;
    if (profile.losesCampus && timeline !== undefined)
      console.error(formatTable(HEAD, timeline.rows()));
    for (const finding of [...failures, ...(outcome.ledger?.examples ?? [])])
      console.error(finding);
    if (outcome.storesDir !== undefined)
      console.error(`the devices' stores are kept in ${outcome.storesDir}`);
    console.log(describeResult(result));
    if (call.json) printJson(result);
    return isClean(result) ? EXIT.ok : EXIT.failed;
  },
};

const HEAD = ["time", "acked", "delivered", "worst ack", "", "what happened"];

function listProfiles(call: CommandCall) {
  const rows = PROFILES.map(({ name, summary }) => ({ name, summary }));
  if (call.json) printJson({ profiles: rows });
  else
    console.log(
      formatTable(
        ["profile", "at factor 1"],
        rows.map((row) => [row.name, row.summary]),
      ),
    );
  return EXIT.ok;
}

function readProfile(call: CommandCall, name: string) {
  const found = PROFILES.find((profile) => profile.name.toLowerCase() === name.toLowerCase());
  if (found === undefined) {
    const names = PROFILES.map((profile) => profile.name).join(", ");
    throw new Failure(EXIT.usage, `there is no profile "${name}": there are ${names}`);
  }
  const factor = numberOption(call, "factor") ?? 0.1;
  const scale = {
    ...{ factor, seconds: numberOption(call, "seconds") },
    sendsPerSecond: numberOption(call, "rate"),
  };
  return { profile: scaleProfile(found, scale), factor };
}

/** The fault asked for; a profile that loses a campus loses one by chance when none is named. */
function planSteps(call: CommandCall, profile: Profile): Step[] {
  const asked = readFault(call);
  if (asked === undefined && !profile.losesCampus) return [];
  const platform = Platform.of(call.dataDir);
  if (
    platform === undefined ||
    call.context !== undefined ||
    textOption(call, "endpoints") !== undefined
  )
    throw new Failure(EXIT.usage, "only a platform of this machine can lose a campus");
  const random = new Random(Date.now(), "fault");
  const kind = random.pick(["kill", "cut", "freeze"] as const);
  const chosen: Fault = {
    kind,
    campus: random.pick(platform.config.campuses),
    at: 0.3,
    backAt: 0.7,
  };
  const fault = asked ?? chosen;
  return checkedSteps(fault, platform);
}
