/**
 * A drill from beginning to end: look, check, block, watch, unblock, look again. Whatever happens in between,
 * the block is ended; should this process die, it ends by itself within seconds.
 */
import { CLOCKS_APART_MS, ControlTable } from "../../services/control/client.ts";
import { rest } from "../../services/svrkit/rest.ts";
import type { Target } from "../block-arguments.ts";
import { requireCaughtUp } from "../caught-up.ts";
import type { Reach } from "../reach.ts";
import {
  endBlock,
  keepBlock,
  type OwnBlock,
  type SetBlock,
  setBlock,
  TERM_MS,
} from "./own-block.ts";
import type { Check, Evidence, Stop } from "./plan/evidence.ts";
import { preChecks } from "./plan/pre-checks.ts";
import { breachIn } from "./plan/watch.ts";
import { Sampler } from "./sampler.ts";

export interface DrillSettings {
  readonly target: Target;
  readonly forMs: number;
  /** What is looked at before the block, to know what is usual. */
  readonly beforeMs: number;
  /** And after it, until the load has come back. */
  readonly afterMs: number;
  readonly busyPercentMax: number;
  readonly who: string;
  readonly why: string;
  /** Aborted: a person ends it. */
  readonly signal: AbortSignal;
  /** One line at a time. */
  readonly progress: (line: string) => void;
}

const LOOK_EVERY_MS = 200;
/** How often it is read whether the block still stands, and put off. */
const TABLE_EVERY_MS = 1_000;

export async function runDrill(reach: Reach, settings: DrillSettings): Promise<Evidence> {
  const { target, forMs, beforeMs, busyPercentMax, who, why, signal, progress } = settings;
  const pods = await reach.pods();
  const startMs = performance.now();
  const now = () => Math.round(performance.now() - startMs);
  const table = new ControlTable(reach.callee("kvsvr"));
  const sampler = new Sampler(pods, target.service, startMs);
  const facts = {
    format: 1 as const,
    ...target,
    ...{ who, why, forMs, busyPercentMax },
    startedAt: new Date().toISOString(),
    campuses: reach.campuses,
    processes: pods.map(({ name, campus, services }) => ({ name, campus, services })),
    samples: sampler.samples,
  };
  try {
    progress(`looks for ${beforeMs / 1_000} s at what is usual`);
    await restUnless(signal, beforeMs);
    const seen = { ...facts, clocks: sampler.clocks.apart, nowMs: now() };
    const checks = await checksNow(reach, target, { ...seen, table });
    if (checks.some(({ ok }) => !ok)) return { ...facts, checks, endedAtMs: now() };
    if (signal.aborted) return { ...facts, checks, stop: byPerson(now()), endedAtMs: now() };
    const blocked = await whileBlocked(facts, { table, sampler, settings, now });
    return { ...facts, checks, ...blocked, endedAtMs: now() };
  } finally {
    await sampler.stop();
  }
}

type Blocked = Pick<Evidence, "blockedAtMs" | "unblockedAtMs" | "stop" | "unblockFailure">;

/** Sets the block, watches, ends it in any case, and looks at what comes back. */
async function whileBlocked(
  facts: Pick<Evidence, "campus" | "service" | "processes" | "busyPercentMax">,
  watching: Watching,
): Promise<Blocked> {
  const { table, sampler, settings, now } = watching;
  const { target, forMs, afterMs, who, why, signal, progress } = settings;
  const block = { target, who, why: `drill: ${why}`, termMs: TERM_MS };
  const blockedAtMs = now();
  sampler.blocked(blockedAtMs);
  const set = await setBlock(table, block);
  let stop: Stop | undefined;
  let unblockFailure: string | undefined;
  try {
    progress(`blocked for ${forMs / 1_000} s`);
    stop =
      set.doubt === undefined
        ? await watch({ ...facts, seen: sampler.seen, blockedAtMs }, { ...watching, block, set })
        : { kind: "signal", text: `it may be blocked or not: ${set.doubt}`, seenAtMs: now() };
    if (stop !== undefined) progress(`stops: ${stop.text}`);
  } finally {
    const waits = (reason: string) => progress(waitText(reason, set.endsAtMs));
    unblockFailure = await endBlock(table, block, { set, waits });
  }
  const unblockedAtMs = now();
  sampler.unblocked(unblockedAtMs);
  const ended = unblockFailure === undefined ? "unblocked" : "the block has ended by itself";
  progress(`${ended}; looks for ${afterMs / 1_000} s at what comes back`);
  await restUnless(signal, afterMs);
  if (signal.aborted) stop ??= byPerson(now());
  return {
    ...{ blockedAtMs, unblockedAtMs },
    ...(stop !== undefined && { stop }),
    ...(unblockFailure !== undefined && { unblockFailure }),
  };
}

function waitText(reason: string, endsAtMs: number): string {
  const leftSeconds = Math.round((endsAtMs - performance.now()) / 1_000);
  return (
    `the block cannot be ended now (${reason}): it is tried again and again, for ${leftSeconds} s at most, ` +
    "when it ends by itself; a second interrupt leaves it to that"
  );
}

/** What a drill would be refused for now, after a look of so long; nothing is changed. */
export async function checkBefore(
  reach: Reach,
  { target, forMs, busyPercentMax }: { target: Target; forMs: number; busyPercentMax: number },
): Promise<readonly Check[]> {
  const pods = await reach.pods();
  const startMs = performance.now();
  const sampler = new Sampler(pods, target.service, startMs);
  try {
    await rest(forMs);
    return await checksNow(reach, target, {
      ...{ campus: target.campus, campuses: reach.campuses, processes: pods },
      ...{ samples: sampler.samples, clocks: sampler.clocks.apart, busyPercentMax },
      nowMs: performance.now() - startMs,
      table: new ControlTable(reach.callee("kvsvr")),
    });
  } finally {
    await sampler.stop();
  }
}

type Seen = Omit<Parameters<typeof preChecks>[0], "behind" | "blocks" | "clocksApartMsMax">;

async function checksNow(
  reach: Reach,
  target: Target,
  { table, ...seen }: Seen & { readonly table: ControlTable },
): Promise<Check[]> {
  const blocks = table.blocks().then(
    (all) => all.map(({ what }) => what),
    () => undefined,
  );
  const behind = await whyBehind(reach, target);
  return preChecks({ ...seen, behind, blocks: await blocks, clocksApartMsMax: CLOCKS_APART_MS });
}

async function whyBehind(reach: Reach, target: Target): Promise<string | undefined> {
  return requireCaughtUp(reach, target).then(
    () => undefined,
    (error: Error) => error.message,
  );
}

interface Watching {
  readonly table: ControlTable;
  readonly sampler: Sampler;
  readonly settings: DrillSettings;
  readonly now: () => number;
}

/** Until its time is over, or why it is over before. */
async function watch(
  facts: Parameters<typeof breachIn>[0] & { readonly blockedAtMs: number },
  { table, settings, now, block, set }: Watching & { block: OwnBlock; set: SetBlock },
): Promise<Stop | undefined> {
  const { forMs, signal } = settings;
  let isGone = false;
  let readAtMs = now();
  let reading: Promise<void> | undefined;
  const keep = async () => {
    isGone = !(await keepBlock(table, block, set));
    reading = undefined;
  };
  while (now() - facts.blockedAtMs < forMs) {
    await restUnless(signal, LOOK_EVERY_MS);
    if (signal.aborted) return byPerson(now());
    const breach = breachIn(facts, now());
    if (breach !== undefined) return breach;
    if (isGone) return { kind: "unblocked", text: GONE, seenAtMs: now() };
    if (reading === undefined && now() - readAtMs >= TABLE_EVERY_MS) {
      readAtMs = now();
      reading = keep();
    }
  }
  await reading;
  return undefined;
}

const GONE =
  "the block does not stand any more: somebody ended it or set one of their own, or it could not be put off in time";

function byPerson(seenAtMs: number): Stop {
  return { kind: "person", text: "it was interrupted", seenAtMs };
}

async function restUnless(signal: AbortSignal, ms: number): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done);
  });
}
