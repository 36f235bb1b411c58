/** `tricampus kv group add | remove`: KV groups of a running platform. */
import { rangesOf } from "../../services/control/slots-client.ts";
import type { Platform } from "../../services/platform/platform.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import { AS, actOf, WHY } from "../act.ts";
import { asCalled } from "../called.ts";
import { whyNotServing } from "../caught-up.ts";
import type { CommandCall, CommandDefinition } from "../command.ts";
import { Inspector } from "../connect.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { KEYSPACE_NUMBERS, type OperatorParts, requireHere, withReplicas } from "../kv/store.ts";
import { printJson } from "../output/json.ts";
import { LATE_ADVICE, Waiting } from "../output/waiting.ts";

const READY_TIMEOUT_MS = 30_000;
const POLL_MS = 100;

export const kvGroupCommands: readonly CommandDefinition[] = [
  {
    name: "kv group add",
    summary: "start one more KV group, a replica in every campus; slots are moved to it afterwards",
    options: [WHY, AS],
    run: (call) => withReplicas(call, (parts) => add(call, parts)),
  },
  {
    name: "kv group remove",
    summary: "stop the last KV group, once it serves no slots; its data folders stay",
    arguments: [["<group>", "its number"]],
    options: [WHY, AS],
    run: (call) => withReplicas(call, (parts) => remove(call, parts)),
  },
];

async function add(call: CommandCall, parts: OperatorParts): Promise<ExitCode> {
  const platform = requireHere(parts, "in a cluster, apply a KVGroup of the next number");
  const { slots } = parts;
  const group = platform.config.kvGroups + 1;
  if (group > KV_GROUPS.length)
    throw new Failure(EXIT.failed, `there are ${KV_GROUPS.length} KV groups: no more are possible`);
  await requireAllRunning(platform);
  const changed = await platform.withKvGroups(group);
  await waitServing(changed, group);
  await slots.note("group-add", `KV group ${group}`, actOf(call));
  if (call.json) printJson({ group, groups: group });
  else {
    const next = "`tricampus slots rebalance --yes`";
    console.log(asCalled(`KV group ${group} serves; ${next} gives it slots.`));
  }
  return EXIT.ok;
}

async function remove(call: CommandCall, parts: OperatorParts): Promise<ExitCode> {
  const platform = requireHere(parts, "in a cluster, delete the KVGroup; its slots move first");
  const { slots } = parts;
  const { kvGroups } = platform.config;
  const group = Number(call.arguments[0]);
  if (!Number.isInteger(group) || group < 1 || group > kvGroups)
    throw new Failure(
      EXIT.usage,
      `there is no KV group "${call.arguments[0]}": there are ${kvGroups}`,
    );
  if (group === 1) throw new Failure(EXIT.failed, "group 1 holds the control table: it stays");
  if (group < kvGroups)
    throw new Failure(EXIT.failed, `only the last group can be removed: remove ${kvGroups} first`);
  const now = await slots.read();
  const owned = KEYSPACE_NUMBERS.flatMap((keyspace) => rangesOf(now, keyspace)).filter(
    (range) => range.group === group,
  );
  if (owned.length > 0) {
    const how = `\`tricampus slots rebalance --without ${group} --yes\` moves them away`;
    throw new Failure(EXIT.failed, `KV group ${group} serves slots: ${how}`);
  }
  if (now.move !== undefined)
    throw new Failure(EXIT.failed, "a move of slots is under way: wait for its end, or cancel it");
  await requireAllRunning(platform);
  await platform.withKvGroups(group - 1);
  await slots.note("group-remove", `KV group ${group}`, actOf(call));
  if (call.json) printJson({ removed: group, groups: group - 1 });
  else console.log(`KV group ${group} is stopped; its data folders stay.`);
  return EXIT.ok;
}

/** A supervisor that hears nothing would go on with other processes than the configuration names. */
async function requireAllRunning(platform: Platform): Promise<void> {
  for (const { campus, state } of await platform.reports()) {
    if (state === "running") continue;
    throw new Failure(EXIT.failed, `campus ${campus} is ${state}: all three must run for this`);
  }
}

async function waitServing(platform: Platform, group: number): Promise<void> {
  const giveUp = performance.now() + READY_TIMEOUT_MS;
  const waiting = new Waiting();
  try {
    const tell = (open: number) => waiting.tell(`${open} processes are not ready yet`);
    await platform.waitReady(READY_TIMEOUT_MS, tell);
  } catch (error) {
    throw new Failure(EXIT.failed, `${(error as Error).message}; ${LATE_ADVICE}`);
  }
  const inspector = new Inspector(platform);
  try {
    for (const campus of platform.config.campuses) {
      for (;;) {
        const reason = await whyNotServing(inspector, { group: KV_GROUPS[group - 1]!, campus });
        if (reason === undefined) break;
        if (performance.now() >= giveUp)
          throw new Failure(
            EXIT.failed,
            `KV group ${group} runs and does not serve yet: ${reason}; ${LATE_ADVICE}`,
          );
        waiting.tell(`KV group ${group} does not serve in campus ${campus} yet`);
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
  } finally {
    inspector.stop();
  }
}
