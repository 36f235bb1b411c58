/**
 * What goes wrong: one record of options with each fault's weight, and the nemesis that draws faults
 * from it, lets them happen, counts those that really did, and ends them all when told to.
 */
import { comparePositions, type Position } from "../services/svrkit/known-disk.ts";
import type { Random } from "../services/svrkit/seeded-random.ts";
import type { Clock, Process } from "./clock.ts";
import { type Cluster, numberOf } from "./cluster.ts";
import type { SlotMoves } from "./slot-moves.ts";

/** Weight of each kind of fault when the next one is drawn; 0: never. */
export interface FaultWeights {
  /** kill -9: the page cache survives. */
  readonly kill: number;
  /** Power of one host, and of all three. */
  readonly power: number;
  readonly powerAll: number;
  /** A stop in order, with its checkpoint. */
  readonly stop: number;
  readonly pause: number;
  /** One replica cut off from the others, in both directions or in one, with its clients or not. */
  readonly partition: number;
  readonly oneWay: number;
  readonly slowLink: number;
  readonly reset: number;
  readonly slowDisk: number;
  readonly fullDisk: number;
  readonly failedSync: number;
  /** A client's clock is set wrong. */
  readonly clockJump: number;
  /** These cost one replica its memory; in one run always the same replica. */
  readonly bitFlip: number;
  readonly lostDisk: number;
  readonly oldDisk: number;
  /** The disk is lost, and somebody has the replica rebuilt as a new member. */
  readonly rebuild: number;
  /** Slots are moved to another KV group, or a move is cancelled; where there are several. */
  readonly slotMove: number;
}

export interface FaultOptions {
  readonly weights: FaultWeights;
  /** Pause between two faults, ms. */
  readonly everyMs: readonly [number, number];
  /** How long a fault lasts, ms: mostly short, sometimes up to the second figure. */
  readonly lastsMs: readonly [number, number];
}

type FaultKind = keyof FaultWeights;

const CRASH_LOOK_MS = 0.3;
const CRASH_LOOKS = 300;

export class Nemesis {
  readonly #cluster: Cluster;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #options: FaultOptions;
  readonly #clients: readonly Process[];
  readonly #nodes: readonly number[];
  /** The one replica that may lose its memory. */
  readonly #victim: number;
  readonly #moves: SlotMoves | undefined;
  readonly counts: Record<string, number> = {};
  /** What happened when, for people. */
  readonly story: string[] = [];
  #isOver = false;
  /** A copy of the victim's disk, to be put back. */
  #copy: { putBack: () => void; starts: number; reach: Position } | undefined;

  constructor(parts: {
    cluster: Cluster;
    random: Random;
    options: FaultOptions;
    clients: readonly Process[];
    moves: SlotMoves | undefined;
  }) {
    this.#cluster = parts.cluster;
    this.#clock = parts.cluster.clock;
    this.#random = parts.random;
    this.#options = parts.options;
    this.#clients = parts.clients;
    this.#moves = parts.moves;
    this.#nodes = parts.cluster.nodes(parts.clients.length);
    this.#victim = parts.random.index(parts.cluster.replicas.length);
  }

  /** Faults from now on; a crash and a partition are certain. */
  start(forMs: number): void {
    this.#later(this.#random.between(0, forMs * 0.7), () =>
      this.#carryOut(this.#random.pick(["kill", "power"])),
    );
    this.#later(this.#random.between(0, forMs * 0.7), () => this.#carryOut("partition"));
    if (this.#options.weights.oldDisk > 0)
      this.#later(this.#random.between(0, forMs * 0.5), () => {
        const disk = this.#cluster.disks[this.#victim]!;
        this.#copy = { putBack: disk.copy(), starts: disk.starts, reach: disk.reach };
      });
    this.#next();
  }

  #later(ms: number, act: () => void): void {
    this.#clock.after(this.#clock.outside, ms, act);
  }

  #next(): void {
    const [low, high] = this.#options.everyMs;
    this.#later(this.#random.between(low, high), () => {
      if (this.#isOver) return;
      this.#carryOut(this.#draw());
      this.#next();
    });
  }

  #draw(): FaultKind {
    const weights = Object.entries(this.#options.weights) as [FaultKind, number][];
    let roll = this.#random.next() * weights.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [kind, weight] of weights) {
      roll -= weight;
      if (roll < 0) return kind;
    }
    return "kill";
  }

  #count(what: string, where: string): void {
    this.counts[what] = (this.counts[what] ?? 0) + 1;
    this.#tell(`${what} ${where}`);
  }

  #tell(what: string): void {
    this.story.push(`${this.#clock.nowMs.toFixed(1)} ms: ${what}`);
  }

  #lasts(): number {
    const [low, high] = this.#options.lastsMs;
    const roll = this.#random.next();
    return low + roll * roll * roll * (high - low);
  }

  #carryOut(kind: FaultKind): void {
    if (!this.#isOver) this.#acts[kind](this.#random.pick(this.#cluster.replicas), this.#lasts());
  }

  readonly #acts: Record<FaultKind, (replica: number, lastsMs: number) => void> = {
    kill: (replica, lastsMs) => this.#crash("kill", replica, lastsMs),
    power: (replica, lastsMs) => this.#crash("power", replica, lastsMs),
    powerAll: () => {
      for (const replica of this.#cluster.replicas) this.#crashNow("power", replica, this.#lasts());
      this.#count("powerAll", "");
    },
    stop: (replica, lastsMs) => {
      const again = () => this.#later(this.#isOver ? 0 : lastsMs, () => this.#restart(replica));
      if (this.#cluster.stop(replica, again)) this.#count("stop", `replica ${replica}`);
    },
    pause: (replica, lastsMs) => this.#pause(replica, lastsMs),
    partition: (replica, lastsMs) => this.#partition(replica, lastsMs, false),
    oneWay: (replica, lastsMs) => this.#partition(replica, lastsMs, true),
    slowLink: (_, lastsMs) => this.#slowLink(lastsMs),
    reset: (replica) => {
      const other = this.#random.pick(this.#nodes);
      if (this.#cluster.network.reset(replica, other)) this.#count("reset", `${replica}-${other}`);
    },
    slowDisk: (replica, lastsMs) => this.#disk("slowDisk", replica, lastsMs),
    fullDisk: (replica, lastsMs) => this.#disk("fullDisk", replica, lastsMs),
    failedSync: (replica, lastsMs) => this.#disk("failedSync", replica, lastsMs),
    clockJump: (_, lastsMs) => this.#jump(lastsMs),
    bitFlip: (_, lastsMs) => this.#forget("bitFlip", lastsMs),
    lostDisk: (_, lastsMs) => this.#forget("lostDisk", lastsMs),
    oldDisk: (_, lastsMs) => this.#forget("oldDisk", lastsMs),
    rebuild: (_, lastsMs) => this.#forget("rebuild", lastsMs),
    slotMove: () => this.#moves?.begin((what) => this.#count("slotMove", what)),
  };

  /** Half of the crashes wait for a moment in which something is written and not synced. */
  #crash(how: "kill" | "power", replica: number, lastsMs: number): void {
    if (this.#random.chance(0.5)) this.#crashNow(how, replica, lastsMs);
    else this.#crashInSync(how, replica, lastsMs, CRASH_LOOKS);
  }

  #crashInSync(how: "kill" | "power", replica: number, lastsMs: number, looks: number): void {
    // It would last beyond the end of all faults.
    if (this.#isOver) return;
    const isBusy = this.#cluster.disks[replica]!.unsynced > 0;
    if (isBusy || looks === 0) this.#crashNow(how, replica, lastsMs);
    else this.#later(CRASH_LOOK_MS, () => this.#crashInSync(how, replica, lastsMs, looks - 1));
  }

  #crashNow(how: "kill" | "power", replica: number, lastsMs: number): void {
    const { unsynced } = this.#cluster.disks[replica]!;
    if (this.#cluster.end(replica, how)) {
      this.#count(how, `replica ${replica}`);
      if (unsynced > 0) this.#count(`${how} with unsynced writes`, `replica ${replica}`);
    }
    this.#later(lastsMs, () => this.#restart(replica));
  }

  #restart(replica: number): void {
    if (this.#cluster.isRunning(replica)) return;
    this.#tell(`start replica ${replica}`);
    this.#cluster.start(replica);
  }

  #pause(replica: number, lastsMs: number): void {
    const process = this.#random.chance(0.8)
      ? this.#cluster.process(replica)
      : this.#random.pick(this.#clients);
    if (process === undefined || process.paused) return;
    process.paused = true;
    this.#count("pause", `${process.name} for ${lastsMs.toFixed(0)} ms`);
    this.#later(lastsMs, () => this.#clock.resume(process));
  }

  #partition(replica: number, lastsMs: number, isOneWay: boolean): void {
    const withClients = this.#random.chance(0.3);
    const inbound = this.#random.chance(0.5);
    const others = this.#nodes.filter(
      (node) => node !== replica && (node < this.#cluster.replicas.length || withClients),
    );
    const links = others.flatMap((other): [number, number][] => {
      if (!isOneWay)
        return [
          [replica, other],
          [other, replica],
        ];
      return inbound ? [[other, replica]] : [[replica, other]];
    });
    for (const [from, to] of links) this.#cluster.network.block(from, to);
    const cut = links.map(([from, to]) => `${from}>${to}`).join(" ");
    this.#count(isOneWay ? "oneWay" : "partition", `${cut} for ${lastsMs.toFixed(0)} ms`);
    this.#later(lastsMs, () => {
      for (const [from, to] of links) this.#cluster.network.unblock(from, to);
    });
  }

  #slowLink(lastsMs: number): void {
    const from = this.#random.pick(this.#nodes);
    const to = this.#random.pick(this.#cluster.replicas);
    if (from === to) return;
    this.#cluster.network.slow(from, to, this.#random.between(5, 250));
    this.#count("slowLink", `${from}>${to}`);
    this.#later(lastsMs, () => this.#cluster.network.slow(from, to, 0));
  }

  #disk(kind: "slowDisk" | "fullDisk" | "failedSync", replica: number, lastsMs: number): void {
    const disk = this.#cluster.disks[replica]!;
    if (kind === "slowDisk") disk.slowMs = this.#random.between(5, 150);
    if (kind === "fullDisk") disk.writeError = this.#random.pick(["ENOSPC", "EROFS"]);
    if (kind === "failedSync") disk.failNextSync = true;
    this.#count(kind, `replica ${replica} for ${lastsMs.toFixed(0)} ms`);
    this.#later(lastsMs, () => {
      if (kind === "slowDisk") disk.slowMs = 0;
      if (kind === "fullDisk") disk.writeError = undefined;
      if (kind === "failedSync") disk.failNextSync = false;
    });
  }

  #jump(lastsMs: number): void {
    const process = this.#random.pick(this.#clients);
    const size = this.#random.pick([500, 15_000, 60_000, 3_600_000]);
    process.clockOffsetMs = this.#random.between(-size, size);
    this.#count("clockJump", `${process.name} by ${process.clockOffsetMs.toFixed(0)} ms`);
    this.#later(lastsMs, () => {
      process.clockOffsetMs = 0;
    });
  }

  /** While the victim is down its disk is damaged, emptied, or replaced by the older copy. */
  #forget(kind: "bitFlip" | "lostDisk" | "oldDisk" | "rebuild", lastsMs: number): void {
    const disk = this.#cluster.disks[this.#victim]!;
    this.#cluster.end(this.#victim, "power");
    if (kind === "bitFlip" && disk.flipBit()) this.#count("bitFlip", `replica ${this.#victim}`);
    if (kind === "lostDisk") {
      disk.lose();
      this.#count("lostDisk", `replica ${this.#victim}`);
    }
    if (kind === "rebuild") {
      this.#cluster.permitRebuild(this.#victim);
      this.#count("rebuild", `replica ${this.#victim}`);
    }
    const since = this.#missingInCopy();
    if (kind === "oldDisk" && since !== undefined) {
      this.#copy?.putBack();
      this.#copy = undefined;
      this.#count("oldDisk", `replica ${this.#victim}`);
      this.#count(`oldDisk lacks ${since}`, `replica ${this.#victim}`);
    }
    this.#later(lastsMs, () => this.#restart(this.#victim));
  }

  /**
   * What both others remember of the victim and the copy lacks. A copy that lacks nothing of the kind
   * is not put back: nobody could notice it (README.md).
   */
  #missingInCopy(): "starts" | "writes" | undefined {
    const copy = this.#copy;
    if (copy === undefined) return undefined;
    const others = this.#cluster.mates(this.#victim);
    const met = others.map((other) => this.#cluster.disks[other]!.met(numberOf(this.#victim)));
    const lacks = met.map(({ incarnation, ...reach }) => {
      if (incarnation !== copy.starts) return incarnation > copy.starts ? "starts" : undefined;
      return comparePositions(reach, copy.reach) > 0 ? "writes" : undefined;
    });
    return lacks.includes(undefined) ? undefined : lacks.includes("writes") ? "writes" : "starts";
  }

  /** Ends every fault: what is down starts, what is cut joins, what is slow is fast again. */
  end(): void {
    this.#isOver = true;
    for (const from of this.#nodes) {
      for (const to of this.#nodes) {
        this.#cluster.network.unblock(from, to);
        this.#cluster.network.slow(from, to, 0);
      }
    }
    for (const replica of this.#cluster.replicas) {
      const disk = this.#cluster.disks[replica]!;
      disk.slowMs = 0;
      disk.writeError = undefined;
      disk.failNextSync = false;
      const process = this.#cluster.process(replica);
      if (process?.paused === true) this.#clock.resume(process);
      this.#cluster.start(replica);
    }
    for (const process of this.#clients) {
      process.clockOffsetMs = 0;
      if (process.paused) this.#clock.resume(process);
    }
  }

  /** A replica ended by itself: its supervisor starts it again. */
  stopped(replica: number): void {
    this.#cluster.end(replica, "kill");
    this.#later(300, () => this.#cluster.start(replica));
  }
}
