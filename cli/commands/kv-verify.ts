/** `tricampus kv verify`: are the three replicas the same? */
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { CommandDefinition } from "../command.ts";
import { complain, EXIT, type ExitCode } from "../failure.ts";
import type { Notation } from "../kv/bytes.ts";
import { bytesJson } from "../kv/bytes.ts";
import { groupOf } from "../kv/groups.ts";
import type { Answer } from "../kv/plan/standing.ts";
import {
  describeKey,
  keyspaceName,
  notationOf,
  type OperatorParts,
  withReplicas,
} from "../kv/store.ts";
import {
  type Difference,
  PATIENCE,
  type Verdict,
  verdictOfAll,
  verifyReplicas,
} from "../kv/verify.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";

const SLOTS = "4,096";

export const kvVerifyCommand: CommandDefinition = {
  name: "kv verify",
  summary:
    "compare the three replicas; exit code 1 when they differ for good, 3 when one is missing",
  options: [
    ["--contents", "read every value and row too: is it what its digest stands for?"],
    ["--hex", "print keys as hex"],
  ],
  run: async (call) => {
    const contents = call.options.contents === true;
    const verdict = await withReplicas(call, (parts) => verifyGroups(parts, contents));
    if (call.json) printVerdictJson(verdict, notationOf(call));
    else printVerdict(verdict, notationOf(call));
    if (verdict.differences > 0) complain("the replicas differ: see the keys above");
    else if (verdict.notCompared.length > 0)
      complain(
        `not compared: ${verdict.notCompared.map(({ campus }) => `campus ${campus}`).join(", ")}`,
      );
    return exitCodeOf(verdict);
  },
};

/** Group by group, each about the slots that it serves. */
async function verifyGroups(
  { groups, shards }: OperatorParts,
  contents: boolean,
): Promise<Verdict> {
  const verdicts: Verdict[] = [];
  for (const { group, replicas } of groups) {
    const isIncluded = (key: Key) => groupOf(shards, key) === group;
    const refresh = async () => {
      if (groups.length > 1) await shards.refresh();
    };
    const patience = { ...PATIENCE, isIncluded, refresh, contents };
    const verdict = await verifyReplicas(replicas, patience);
    const notCompared = verdict.notCompared.map(({ campus, reason }) => {
      return { campus, reason: groups.length > 1 ? `group ${group}: ${reason}` : reason };
    });
    verdicts.push({ ...verdict, notCompared });
    await refresh();
  }
  return verdictOfAll(verdicts);
}

function exitCodeOf({ differences, notCompared }: Verdict): ExitCode {
  if (differences > 0) return EXIT.failed;
  return notCompared.length > 0 ? EXIT.unreachable : EXIT.ok;
}

function printVerdictJson(verdict: Verdict, notation: Notation): void {
  const { shown, ...counts } = verdict;
  const list = shown.map(({ key, standing, answers }) => ({
    keyspace: keyspaceName(key.keyspace),
    ...bytesJson("key", key.key, notation),
    standing,
    replicas: answers.map(({ version, digest, lacks, barred, contents }, i) => ({
      campus: verdict.compared[i],
      ...(barred === "" ? { version, digest: digestText(digest), lacks } : { barred }),
      ...(contents === undefined ? {} : { contents: digestText(contents) }),
    })),
  }));
  printJson({ ...counts, shown: list });
}

function printVerdict(verdict: Verdict, notation: Notation): void {
  const { keys, slots, compared, notCompared, lookedAgain, differences, shown, forgetful } =
    verdict;
  const { contentsRead } = verdict;
  if (shown.length > 0) {
    const rows = shown.map((difference) => rowOf(difference, notation));
    console.log(formatTable(["standing", "key", ...compared], rows));
  }
  if (differences > shown.length) console.log(`... and ${differences - shown.length} more`);
  for (const { campus, reason } of notCompared) {
    console.log(`campus ${campus} was not compared: ${reason}`);
  }
  console.log(
    `${keys} keys in ${slots} slots (of ${SLOTS} a keyspace); replicas compared: ${compared.join(", ") || "none"}`,
  );
  console.log(`looked at again: ${lookedAgain}; differences: ${differences}`);
  if (contentsRead > 0) console.log(`keys whose values and rows were read: ${contentsRead}`);
  if (forgetful > 0) console.log(`slots in which deleted keys were forgotten: ${forgetful}`);
}

function rowOf({ key, standing, answers }: Difference, notation: Notation): string[] {
  return [standing, describeKey(key, notation), ...answers.map(describeAnswer)];
}

function describeAnswer({ version, digest, lacks, barred, contents }: Answer): string {
  if (barred !== "") return `cannot say: ${barred}`;
  if (version === 0) return "nothing";
  if (contents !== undefined)
    return `version ${version} (${digestText(digest)}), holds ${digestText(contents)}`;
  return `version ${version} (${digestText(digest)})${lacks ? ", not held" : ""}`;
}

/** 53 bits. */
function digestText(digest: number): string {
  return digest.toString(16).padStart(14, "0");
}
