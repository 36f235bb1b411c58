/**
 * Proof that the checkers notice: every planted bug (services/kvsvr/protocol/planted.ts) with a seed
 * under which one of them reports it, the store's own rules being off. `make sim-bugs` looks for the
 * seeds anew and writes testdata/bug-seeds.json; bugs.test.ts replays them.
 */
import { join } from "node:path";
import { type Bug, plantBug } from "../services/kvsvr/protocol/planted.ts";
import type { FaultWeights } from "./faults.ts";
import {
  DEFAULT_OPTIONS,
  FORGETTING_MOVES_OPTIONS,
  FORGETTING_OPTIONS,
  MOVING_OPTIONS,
  type Options,
  withRecentReads,
} from "./options.ts";
import { type Outcome, run } from "./run.ts";

/** A bug that needs more seeds than this counts as one that the checkers do not notice. */
export const SEARCH_SEEDS = 1_000;
/** Bug -> seed under which it was caught. */
export const BUG_SEEDS_FILE = join(import.meta.dirname, "testdata", "bug-seeds.json");

/** The one replica that may lose its memory is rebuilt instead. */
const NO_DAMAGE = { bitFlip: 0, lostDisk: 0, oldDisk: 0 };

/** Bugs that need something special to go wrong, mostly several things at once: more of it is drawn. */
const NEEDED_FAULTS: Partial<Record<Bug, Partial<FaultWeights>>> = {
  // A connection lost while the first attempt waits in a queue.
  "retry-packed-twice": { reset: 12, pause: 6 },
  "future-ids-accepted": { clockJump: 12 },
  // Killed before its own vote was written, when both others had voted.
  "ballot-zero-reused": { slowDisk: 8, kill: 8, power: 4 },
  // A query's answer is on its way for long, and a write is decided meanwhile by another replica.
  "joined-query": { slowLink: 12, partition: 6, oneWay: 6 },
  // A version decided past this replica, and the proposer gone before it could tell.
  "base-digest-unchecked": { partition: 6, kill: 6, oneWay: 4 },
  // Killed within a checkpoint, and another replica away afterwards.
  "log-removed-early": { slowDisk: 8, kill: 8, partition: 4 },
  // Cut off from the version before, told of a later one, killed before the next checkpoint.
  "notice-not-logged": { partition: 6, kill: 6 },
  // A torn end, and one more crash after something was written behind it.
  "torn-end-kept": { power: 8, kill: 4 },
  // The disk is gone, and another replica is away when the empty one votes.
  "vote-after-disk-loss": { lostDisk: 6, kill: 4 },
  // The disk is an old one, and another replica is away when it votes.
  "incarnation-not-checked": { oldDisk: 6, kill: 6 },
  // The same, and the copy was taken since its last start that the others know.
  // Something accepted by the lost disk and one other, and that one away when it matters.
  "votes-not-copied": { rebuild: 6, kill: 6, partition: 6 },
  "slot-served-by-two-groups": { slotMove: 20 },
  "ids-dropped-by-move": { slotMove: 20 },
  // Decided by two, and one of them away or slow when its slots are taken over.
  "votes-dropped-by-move": { slotMove: 20, partition: 6, slowLink: 6 },
  // Two forget a key that one of them, rebuilt, does not know to be there again, and the third is away.
  "forgotten-by-two": { partition: 12, rebuild: 8, kill: 4, ...NO_DAMAGE },
  "forgotten-without-comparing": { partition: 8, kill: 4 },
  // The connection lost after a write, and its key deleted and forgotten before it is sent again.
  "forgotten-ids": { reset: 8, oneWay: 6, slowLink: 6 },
  // Two that lose what the third still knows.
  "floor-not-kept": { powerAll: 4, kill: 6 },
  "floor-not-moved": { slotMove: 6 },
  "copied-ahead-not-forgotten": { slotMove: 20, slowLink: 6 },
  // Rebuilt, and asked about a key that it did not copy.
  "floor-before-full": { rebuild: 8, partition: 6 },
};

/** Bugs of forgetting: something is deleted, and forgotten, all the time. */
const FORGETTING: ReadonlySet<Bug> = new Set([
  "forgotten-by-two",
  "forgotten-without-comparing",
  "forgotten-ids",
  "floor-not-kept",
  "floor-not-moved",
  "copied-ahead-not-forgotten",
  "floor-before-full",
]);

/** A key is deleted and forgotten between two attempts of one write. */
const FORGETTING_SOON: Options = {
  ...FORGETTING_OPTIONS,
  cluster: { ...FORGETTING_OPTIONS.cluster, forgetting: { everyMs: 150, windowMs: 500 } },
  keys: 4,
  deleteShare: 0.5,
};

/**
 * Many keys that are asked for seldom: between a crash and the next write by the same replica nobody else
 * must finish what was left. What it takes is a disk so slow that both others vote before it.
 */
const SELDOM_ASKED: Options = {
  ...DEFAULT_OPTIONS,
  faults: { ...DEFAULT_OPTIONS.faults, everyMs: [20, 300], lastsMs: [20, 600] },
  clients: 8,
  keys: 40,
  tableShare: 0,
  thinkMs: [1, 60],
};

/** One key that all ask for all the time, over links on which now and then an answer is late. */
const ALWAYS_ASKED: Options = {
  ...DEFAULT_OPTIONS,
  cluster: {
    ...DEFAULT_OPTIONS.cluster,
    network: { latencyMs: [0.1, 1.2], spikes: 0.2, spikeMs: 60 },
  },
  clients: 12,
  keys: 1,
  tableShare: 0,
  thinkMs: [1, 10],
};

export function needsSeveralFaults(bug: Bug): boolean {
  return Object.keys(NEEDED_FAULTS[bug] ?? {}).length >= 2;
}

function baseFor(bug: Bug): Options {
  if (bug === "forgotten-ids") return FORGETTING_SOON;
  if (bug === "ballot-zero-reused") return SELDOM_ASKED;
  if (bug === "joined-query") return ALWAYS_ASKED;
  if (bug.startsWith("recent-")) return withRecentReads(DEFAULT_OPTIONS);
  const moves = NEEDED_FAULTS[bug]?.slotMove !== undefined;
  if (FORGETTING.has(bug)) return moves ? FORGETTING_MOVES_OPTIONS : FORGETTING_OPTIONS;
  return moves ? MOVING_OPTIONS : DEFAULT_OPTIONS;
}

function optionsFor(bug: Bug): Options {
  const base = baseFor(bug);
  const weights = { ...base.faults.weights, ...NEEDED_FAULTS[bug] };
  return { ...base, faults: { ...base.faults, weights } };
}

/** A run with the bug planted, under the faults it needs. */
async function runWith(bug: Bug, seed: number): Promise<Outcome> {
  plantBug(bug);
  try {
    return await run(seed, optionsFor(bug));
  } finally {
    plantBug(undefined);
  }
}

export interface Caught {
  readonly seed: number;
  /** Names of the checkers that reported it. */
  readonly checkers: readonly string[];
  readonly message: string;
}

/** The first seed from `first` through `last` under which a checker reports the bug. */
export async function findSeed(
  bug: Bug,
  first: number,
  last = SEARCH_SEEDS,
): Promise<Caught | undefined> {
  for (let seed = first; seed <= last; seed++) {
    const { violations } = await runWith(bug, seed);
    // That a replica failed is no checker's merit.
    const reported = violations.filter(({ checker }) => checker !== "failures");
    if (reported.length === 0) continue;
    const { violations: anyway } = await run(seed, optionsFor(bug));
    if (anyway.length > 0) throw new Error(`seed ${seed} breaks a promise without ${bug} too`);
    const checkers = [...new Set(reported.map(({ checker }) => checker))];
    return { seed, checkers, message: `${reported[0]!.key}: ${reported[0]!.message}` };
  }
  return undefined;
}
