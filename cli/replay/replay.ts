/**
 * A replay from beginning to end: people, groups, conversations with a fault on the way, waiting
 * until every device has everything, and the ledger, made by a process of its own.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Endpoint } from "../../sdk/endpoints.ts";
import { EXIT, Failure } from "../failure.ts";
import { unlessAborted } from "../interrupt.ts";
import { makeLedgerApart } from "../ledger/apart.ts";
import { Conversations } from "./conversations.ts";
import { Crowd } from "./crowd.ts";
import { DeliveryWatch } from "./delivery-watch.ts";
import { readChatLogs } from "./files.ts";
import type { LedgerTask } from "./ledger-main.ts";
import { planReplay, type ReplayPlan } from "./plan.ts";
import { type ReplayResult, resultOf } from "./result.ts";
import { type Step, Steps } from "./steps.ts";
import { Timeline } from "./timeline.ts";

const LEDGER_MAIN = fileURLToPath(new URL("ledger-main.ts", import.meta.url));
const GROUP_MEMBERS_MAX = 500;
/** Arrivals are given up when nothing moves for so long: twice what a lost push may cost. */
const STILL_MS = 60_000;
const POLL_MS = 50;

export interface ReplaySettings {
  readonly logPaths: readonly string[];
  readonly endpoints: readonly Endpoint[];
  /** Messages of each log; Infinity: all. */
  readonly limit: number;
  /** Seconds to spread the logs over; 0: as fast as it goes. */
  readonly overSeconds: number;
  readonly steps: readonly Step[];
  /** One line, about once a second. */
  readonly progress: (line: string) => void;
  /** Aborted: it ends, and what its steps have begun is undone. */
  readonly signal?: AbortSignal;
  /** Waiting for arrivals ends when nothing moves for so long, and everybody asks; default 60 s. */
  readonly stillMs?: number;
}

export interface ReplayOutcome {
  readonly result: ReplayResult;
  readonly timeline: Timeline;
  /** What is wrong, in words; the first ones. */
  readonly findings: readonly string[];
  /** Kept when the ledger is not clean. */
  readonly storesDir: string | undefined;
}

export async function replay(settings: ReplaySettings): Promise<ReplayOutcome> {
  const run = `r${Date.now().toString(36)}`;
  const plan = planReplay(run, readChatLogs(settings.logPaths), settings.limit);
  checkPlan(plan);
  const workDir = mkdtempSync(join(tmpdir(), "tricampus-replay-"));
  try {
    const played = await play(plan, workDir, settings);
    const { counts, examples } = await makeLedgerApart(LEDGER_MAIN, {
      run,
      logPaths: settings.logPaths.map((path) => resolve(path)),
      limit: Number.isFinite(settings.limit) ? settings.limit : null,
      storesDir: workDir,
      acknowledgedPath: played.acknowledgedPath,
    } satisfies LedgerTask);
    const result = resultOf(counts, { ...played.measures, leftOut: plan.leftOut });
    const findings = [...played.failures.slice(0, 20), ...examples];
    if (findings.length === 0) rmSync(workDir, { recursive: true });
    const storesDir = findings.length === 0 ? undefined : workDir;
    return { result, timeline: played.timeline, findings, storesDir };
  } catch (error) {
    rmSync(workDir, { recursive: true, force: true });
    throw error;
  }
}

function checkPlan(plan: ReplayPlan): void {
  if (plan.groups.length === 0) {
    const form = "lines must look like `[10:00] <ann> hello`, brackets included";
    throw new Failure(EXIT.usage, `the logs hold no messages: ${form}`);
  }
  const tooLarge = plan.groups.find((group) => group.members.length > GROUP_MEMBERS_MAX);
  if (tooLarge === undefined) return;
  const { title, members } = tooLarge;
  throw new Error(
    `${title} has ${members.length} speakers; a group has at most ${GROUP_MEMBERS_MAX}`,
  );
}

async function play(plan: ReplayPlan, workDir: string, settings: ReplaySettings) {
  const { progress, endpoints } = settings;
  const devices = plan.users.reduce((sum, user) => sum + user.devices.length, 0);
  let line = "";
  const ticker = setInterval(() => progress(line), 1_000);
  // The clock of timeline and watch starts with the first message.
  let watch: DeliveryWatch | undefined;
  let steps: Steps | undefined;
  const crowd = new Crowd(plan, {
    endpoints,
    storesDir: workDir,
    arrived: (user, id) => watch?.arrived(user, id, performance.now()),
    progress: (opened) => {
      line = `${opened} of ${devices} devices are connected`;
    },
  });
  const run = async () => {
    await crowd.open();
    const groupIds = await crowd.makeGroups();
    const startMs = performance.now();
    const timeline = new Timeline(startMs);
    const watching = new DeliveryWatch(plan, timeline);
    watch = watching;
    const planned = new Steps(settings.steps, timeline);
    steps = planned;
    const conversations = new Conversations(plan, {
      sender: crowd,
      groupIds,
      watch: watching,
      timeline,
      overSeconds: settings.overSeconds,
      reached: (share) => {
        planned.reached(share);
        const { done, total, acknowledgements } = conversations;
        const worst = Math.round(acknowledgements.max);
        line = `${done} of ${total} messages, ${watching.open} deliveries to come, worst ack ${worst} ms`;
      },
    });
    await conversations.run();
    await planned.finish();
    await waitForArrivals(watching, settings.stillMs ?? STILL_MS, (open) => {
      line = `all messages are sent, ${open} deliveries to come`;
    });
    await crowd.syncSilent();
    const seconds = (performance.now() - startMs) / 1_000;
    await crowd.syncAll();
    await crowd.close();
    return { timeline, ...measure(conversations, watching, { seconds, workDir }) };
  };
  try {
    return await unlessAborted(settings.signal, run);
  } finally {
    clearInterval(ticker);
    const left = await (steps as Steps | undefined)?.undo();
    if (left !== undefined) progress(`what it did could not be undone: ${left}`);
    await crowd.close();
  }
}

function measure(
  { acknowledgements, acknowledged, failures }: Conversations,
  watch: DeliveryWatch,
  facts: { seconds: number; workDir: string },
) {
  const acknowledgedPath = join(facts.workDir, "acknowledged");
  writeFileSync(acknowledgedPath, acknowledged.join("\n"));
  return {
    acknowledgedPath,
    failures,
    measures: {
      failedSends: failures.length,
      seconds: facts.seconds,
      sendAckMs: acknowledgements.summary(),
      deliveryMs: watch.latencies.summary(),
    },
  };
}

/** Until every online device has everything, or nothing has moved for too long. */
async function waitForArrivals(
  watch: DeliveryWatch,
  stillMsMax: number,
  tell: (open: number) => void,
): Promise<void> {
  const sinceMs = performance.now();
  while (watch.open > 0) {
    const stillMs = performance.now() - Math.max(sinceMs, watch.lastArrivalMs);
    if (stillMs > stillMsMax) return;
    tell(watch.open);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
