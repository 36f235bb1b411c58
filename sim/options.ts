/** What a run is made of. The defaults are what `make sim` runs. */
import type { ClusterOptions } from "./cluster.ts";
import type { FaultOptions } from "./faults.ts";

export interface Options {
  readonly cluster: ClusterOptions;
  readonly faults: FaultOptions;
  readonly clients: number;
  readonly keys: number;
  readonly tables: number;
  /** Share of operations that go to tables. */
  readonly tableShare: number;
  /** Share of operations on keys that delete. */
  readonly deleteShare: number;
  /** Share of reads that may be half a second old. */
  readonly recentShare: number;
  /** Pause of a client between two operations, ms. */
  readonly thinkMs: readonly [number, number];
  /** With faults; then without. Together 30 s. */
  readonly safetyMs: number;
  readonly livenessMs: number;
}

export const DEFAULT_OPTIONS: Options = {
  cluster: {
    network: { latencyMs: [0.1, 1.2], spikes: 0.01, spikeMs: 40 },
    disk: { syncMs: [0.3, 3], stalls: 0.01, stallMs: 60 },
    checkpointMs: 3_000,
    groups: 1,
  },
  faults: {
    weights: {
      kill: 3,
      power: 3,
      powerAll: 0.5,
      stop: 1,
      pause: 2,
      partition: 3,
      oneWay: 2,
      slowLink: 2,
      reset: 2,
      slowDisk: 1,
      fullDisk: 1,
      failedSync: 0.5,
      clockJump: 1,
      bitFlip: 0.1,
      lostDisk: 0.1,
      oldDisk: 0.2,
      rebuild: 0.3,
      slotMove: 0,
    },
    everyMs: [50, 2_000],
    lastsMs: [20, 4_000],
  },
  clients: 5,
  keys: 5,
  tables: 2,
  tableShare: 0.5,
  deleteShare: 0.04,
  recentShare: 0,
  thinkMs: [1, 200],
  safetyMs: 20_000,
  livenessMs: 10_000,
};

/** The same with two KV groups, between which slots move all the time. */
export const MOVING_OPTIONS: Options = {
  ...DEFAULT_OPTIONS,
  cluster: { ...DEFAULT_OPTIONS.cluster, groups: 2 },
  faults: {
    ...DEFAULT_OPTIONS.faults,
    weights: { ...DEFAULT_OPTIONS.faults.weights, slotMove: 12 },
  },
};

/** The same with keys that come and go, and are forgotten as soon as they are gone. */
export const FORGETTING_OPTIONS: Options = forgetting(DEFAULT_OPTIONS);
export const FORGETTING_MOVES_OPTIONS: Options = forgetting(MOVING_OPTIONS);

function forgetting(options: Options): Options {
  const { cluster, faults } = options;
  return {
    ...options,
    cluster: { ...cluster, forgetting: { everyMs: 400, windowMs: 1_000 } },
    // Who forgets ids sooner than clients' clocks differ tells them that they are too old.
    faults: { ...faults, weights: { ...faults.weights, clockJump: 0 } },
    keys: 12,
    tableShare: 0.15,
    deleteShare: 0.3,
  };
}

/** One seed in so many has several groups: such a run takes half as long again. */
const MOVING_EVERY = 10;
/** Of ten seeds, these forget. */
const FORGETTING: ReadonlySet<number> = new Set([3, 7]);
/** Of those with several groups, every so many. */
const FORGETTING_MOVES_EVERY = 30;

/** Of so many seeds, of whatever kind, some in which half of the reads may be half a second old. */
const RECENT_OF = 7;
const RECENT: ReadonlySet<number> = new Set([1, 4]);
const RECENT_SHARE = 0.5;

/** The same with reads that may be half a second old. */
export function withRecentReads(options: Options): Options {
  return { ...options, recentShare: RECENT_SHARE };
}

export function optionsOf(seed: number): Options {
  const options = kindOf(seed);
  return RECENT.has(seed % RECENT_OF) ? withRecentReads(options) : options;
}

function kindOf(seed: number): Options {
  if (seed % FORGETTING_MOVES_EVERY === 0) return FORGETTING_MOVES_OPTIONS;
  if (seed % MOVING_EVERY === 0) return MOVING_OPTIONS;
  return FORGETTING.has(seed % MOVING_EVERY) ? FORGETTING_OPTIONS : DEFAULT_OPTIONS;
}
