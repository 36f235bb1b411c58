/**
 * What goes wrong, one after the other: faults are dealt like cards, so that each kind comes in every
 * deal, in another order. One replica at a time is down, frozen, silent or slow, and the next fault waits
 * until it votes again; or all three lose their processes, or their power, at one moment.
 */
import { rest } from "../services/svrkit/rest.ts";
import type { Random } from "../services/svrkit/seeded-random.ts";
import { machineClock } from "./clock.ts";
import { CAMPUSES, REPLICAS, type TortureCluster } from "./cluster.ts";
import type { Links } from "./links.ts";

export const FAULTS = [
  "kill",
  "killAll",
  "power",
  "powerAll",
  "freeze",
  "silent",
  "oneWay",
  "slow",
  "reset",
] as const;

export type Fault = (typeof FAULTS)[number];

export interface FaultOptions {
  readonly kinds: readonly Fault[];
  /** Deals at least, and as many more as begin within this time. */
  readonly deals: number;
  readonly forMs: number;
  /** How long a fault lasts, mostly short, and the pause before the next one, ms. */
  readonly lastsMs: readonly [number, number];
  readonly pauseMs: readonly [number, number];
}

/** From its beginning until everybody votes again. */
export interface FaultWindow {
  readonly fault: Fault;
  readonly startMs: number;
  readonly endMs: number;
}

const VOTES_WITHIN_MS = 15_000;
const RESTART_MS = 50;
const DELAY_MS = [5, 250] as const;

export class Nemesis {
  readonly #cluster: TortureCluster;
  readonly #links: Links;
  readonly #random: Random;
  readonly #options: FaultOptions;
  readonly #nodes: number;
  readonly #say: (line: string) => void;
  readonly #startMs = machineClock.nowMs;
  readonly counts: Record<string, number> = {};
  readonly windows: FaultWindow[] = [];
  /** Replicas that ended by themselves, or did not come back. */
  readonly findings: string[] = [];
  /** Bytes not synced when power was cut. */
  unsynced = 0;

  constructor(parts: {
    cluster: TortureCluster;
    links: Links;
    random: Random;
    options: FaultOptions;
    nodes: number;
    say: (line: string) => void;
  }) {
    this.#cluster = parts.cluster;
    this.#links = parts.links;
    this.#random = parts.random;
    this.#options = parts.options;
    this.#nodes = parts.nodes;
    this.#say = parts.say;
    this.#cluster.onEnd = (replica, how) => this.#ended(replica, how);
  }

  /** A supervisor starts again what ended by itself. */
  #ended(replica: number, how: string): void {
    const campus = CAMPUSES[replica]!;
    this.#tell(`replica ${campus} ended by itself: ${how}`);
    this.findings.push(
      `replica ${campus} ended by itself (${how}): see ${this.#cluster.logPath(replica)}`,
    );
    void rest(RESTART_MS).then(() => this.#cluster.startReplica(replica));
  }

  #tell(what: string): void {
    this.#say(`${((machineClock.nowMs - this.#startMs) / 1_000).toFixed(1)} s: ${what}`);
  }

  /** Resolves when the last fault is over. */
  async run(): Promise<void> {
    const { deals, forMs, pauseMs } = this.#options;
    const endMs = machineClock.nowMs + forMs;
    for (let deal = 1; deal <= deals || machineClock.nowMs < endMs; deal++) {
      for (const fault of this.#shuffled()) {
        if (deal > deals && machineClock.nowMs >= endMs) return;
        await rest(this.#random.between(...pauseMs));
        await this.#carryOut(fault);
      }
    }
  }

  #shuffled(): Fault[] {
    const left = [...this.#options.kinds];
    const dealt: Fault[] = [];
    while (left.length > 0) dealt.push(...left.splice(this.#random.index(left.length), 1));
    return dealt;
  }

  async #carryOut(fault: Fault): Promise<void> {
    const startMs = machineClock.nowMs;
    const victim = this.#random.pick(REPLICAS);
    const [low, high] = this.#options.lastsMs;
    const lastsMs = low + this.#random.next() ** 3 * (high - low);
    await this.#acts[fault](victim, lastsMs);
    for (const replica of REPLICAS) {
      const reason = await this.#cluster.whyNotVoting(replica, VOTES_WITHIN_MS);
      if (reason !== undefined)
        this.findings.push(`after ${fault} of ${CAMPUSES[victim]}: ${reason}`);
    }
    this.windows.push({ fault, startMs, endMs: machineClock.nowMs });
  }

  #count(fault: Fault, what: string): void {
    this.counts[fault] = (this.counts[fault] ?? 0) + 1;
    this.#tell(`${fault} ${what}`);
  }

  readonly #acts: Record<Fault, (victim: number, lastsMs: number) => Promise<void>> = {
    kill: async (victim, lastsMs) => {
      await this.#cluster.kill(victim);
      this.#count("kill", nameOf([victim]));
      await rest(lastsMs);
      await this.#cluster.startReplica(victim);
    },
    killAll: async (_, lastsMs) => {
      await Promise.all(REPLICAS.map((replica) => this.#cluster.kill(replica)));
      this.#count("killAll", nameOf(REPLICAS));
      await this.#startAll(lastsMs);
    },
    power: async (victim, lastsMs) => {
      // Who is without power refuses nothing.
      this.#links.holdAll(victim);
      await this.#cutPower("power", [victim]);
      await rest(lastsMs);
      this.#links.mend();
      this.#reset(victim);
      await this.#cluster.startReplica(victim);
    },
    powerAll: async (_, lastsMs) => {
      await this.#cutPower("powerAll", REPLICAS);
      await this.#startAll(lastsMs);
    },
    freeze: async (victim, lastsMs) => {
      this.#cluster.freeze(victim);
      this.#count("freeze", `${nameOf([victim])} for ${lastsMs.toFixed(0)} ms`);
      await rest(lastsMs);
      this.#cluster.thaw(victim);
    },
    silent: async (victim, lastsMs) => {
      this.#links.holdAll(victim);
      this.#count("silent", `${nameOf([victim])} for ${lastsMs.toFixed(0)} ms`);
      await rest(lastsMs);
      this.#links.mend();
    },
    oneWay: async (victim, lastsMs) => {
      const isDeaf = this.#random.chance(0.5);
      const nodes = Array.from({ length: this.#nodes }, (_, node) => node);
      // With its clients, or cut off from the other replicas alone.
      const others = this.#random.chance(0.5) ? nodes : REPLICAS;
      for (const other of others)
        if (isDeaf) this.#links.hold(other, victim);
        else this.#links.hold(victim, other);
      const what = isDeaf ? "hears nobody" : "is heard by nobody";
      this.#count("oneWay", `${nameOf([victim])} ${what} for ${lastsMs.toFixed(0)} ms`);
      await rest(lastsMs);
      this.#links.mend();
    },
    slow: async (victim, lastsMs) => {
      const delayMs = this.#random.between(...DELAY_MS);
      for (let other = 0; other < this.#nodes; other++) {
        this.#links.delay(victim, other, delayMs);
        this.#links.delay(other, victim, delayMs);
      }
      this.#count("slow", `${nameOf([victim])} by ${delayMs.toFixed(0)} ms`);
      await rest(lastsMs);
      this.#links.mend();
    },
    reset: async (victim) => {
      if (this.#reset(victim) > 0) this.#count("reset", nameOf([victim]));
    },
  };

  #reset(victim: number): number {
    let streams = 0;
    for (let other = 0; other < this.#nodes; other++) streams += this.#links.reset(victim, other);
    return streams;
  }

  async #cutPower(fault: Fault, victims: readonly number[]): Promise<void> {
    const { files, unsynced } = await this.#cluster.cutPower(victims, this.#random);
    this.unsynced += unsynced;
    this.#count(fault, `${nameOf(victims)}: ${unsynced} bytes in ${files} files were not synced`);
  }

  /** Each comes back at a time of its own. */
  async #startAll(lastsMs: number): Promise<void> {
    await Promise.all(
      REPLICAS.map(async (replica) => {
        await rest(this.#random.next() * lastsMs);
        await this.#cluster.startReplica(replica);
      }),
    );
  }
}

function nameOf(replicas: readonly number[]): string {
  return replicas.map((replica) => CAMPUSES[replica]).join(", ");
}
