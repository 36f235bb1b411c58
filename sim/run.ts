/**
 * One run: a seed, a whole cluster, 30 simulated seconds. First faults and load together (safety),
 * then the faults end and everything must work again within a bound (liveness). Checkers then read
 * the history. Same seed and same code give the same history, byte for byte.
 */

import { ProtocolViolation } from "../services/kvsvr/protocol/assert.ts";
import { registerKey } from "../services/kvsvr/storage/record.ts";
import { setRandomSource } from "../services/svrkit/random.ts";
import { Random } from "../services/svrkit/seeded-random.ts";
import { checkHistory } from "./checkers/all.ts";
import type { Violation } from "./checkers/violation.ts";
import { Clock, installGlobals, type Process } from "./clock.ts";
import { Cluster } from "./cluster.ts";
import { Nemesis } from "./faults.ts";
import { isOperation, type Line } from "./history.ts";
import type { Options } from "./options.ts";
import { statesOf } from "./replica-states.ts";
import { SlotMoves } from "./slot-moves.ts";
import { type Actor, sleep } from "./workload/clients.ts";
import { actOnKey, keyNamed, putKey, readKey } from "./workload/keys.ts";
import { actOnTable, changeTable, readRows } from "./workload/tables.ts";

export interface Outcome {
  readonly seed: number;
  readonly history: readonly Line[];
  readonly violations: readonly Violation[];
  readonly faults: Readonly<Record<string, number>>;
  /** What happened when, for people. */
  readonly story: readonly string[];
  readonly operations: number;
  /** Tasks the clock ran: how much happened inside. */
  readonly tasks: number;
}

/** After the faults: time to meet again, before operations must succeed. */
const SETTLE_MS = 3_000;
const LIVENESS_TIMEOUT_MS = 1_500;

/** The whole run takes place in one turn of the real event loop, from which microtasks can be run. */
export function run(seed: number, options: Options): Promise<Outcome> {
  return new Promise((resolve, reject) =>
    setImmediate(() => {
      try {
        resolve(runNow(seed, options));
      } catch (error) {
        reject(error);
      }
    }),
  );
}

function runNow(seed: number, options: Options): Outcome {
  const clock = new Clock();
  const random = new Random(seed, "bytes");
  setRandomSource((bytes) => random.fill(bytes));
  const restore = installGlobals(clock, seed);
  try {
    return new Run(clock, seed, options).run();
  } finally {
    restore();
    setRandomSource(undefined);
  }
}

interface SimulatedActor extends Actor {
  readonly process: Process;
}

class Run {
  readonly #clock: Clock;
  readonly #seed: number;
  readonly #options: Options;
  readonly #cluster: Cluster;
  readonly #nemesis: Nemesis;
  readonly #moves: SlotMoves | undefined;
  readonly #actors: readonly SimulatedActor[];
  readonly #keys: readonly string[];
  readonly #tables: readonly string[];
  readonly #lines: Line[] = [];
  readonly #violations: Violation[] = [];
  #finished = 0;

  constructor(clock: Clock, seed: number, options: Options) {
    this.#clock = clock;
    this.#seed = seed;
    this.#options = options;
    this.#cluster = new Cluster(clock, seed, options.cluster);
    this.#actors = Array.from({ length: options.clients }, (_, index) => this.#actor(index));
    this.#keys = Array.from({ length: options.keys }, (_, i) => `key-${i}`);
    this.#tables = Array.from({ length: options.tables }, (_, i) => `table-${i}`);
    const clients = this.#actors.map((actor) => actor.process);
    const random = new Random(seed, "faults");
    this.#moves = options.cluster.groups > 1 ? this.#slotMoves() : undefined;
    this.#nemesis = new Nemesis({
      cluster: this.#cluster,
      random,
      options: options.faults,
      clients,
      moves: this.#moves,
    });
    this.#cluster.onFloor = (floor) => this.#noteFloor(floor);
    this.#cluster.onFatal = (replica, error) => this.#stopped(replica, error);
    clock.onFailure = (process, error) => this.#failed(process, error);
  }

  readonly #floors = new Set<string>();

  #noteFloor({ first, last, version }: { first: number; last: number; version: number }): void {
    const line = { type: "floor" as const, first, last, version };
    const name = JSON.stringify(line);
    if (this.#floors.has(name)) return;
    this.#floors.add(name);
    this.#lines.push(line);
  }

  #actor(index: number): SimulatedActor {
    const { process, kv } = this.#cluster.client(index, index % 3);
    const random = new Random(this.#seed, `client ${index}`);
    const record = (line: Line) => this.#lines.push(line);
    const { recentShare } = this.#options;
    const memory = {
      recentShare,
      large: { share: 0, bytesMax: 0 },
      begun: 0,
      newest: new Map(),
      marks: new Map(),
      underWay: new Set<() => void>(),
    };
    return { index, process, kv, clock: this.#clock, random, record, ...memory };
  }

  #slotMoves(): SlotMoves {
    const { process, slots } = this.#cluster.operator(this.#options.clients);
    const random = new Random(this.#seed, "slot moves");
    return new SlotMoves({ clock: this.#clock, process, slots, random });
  }

  /** The key is the replica's to vote on at the end. */
  #serves(replica: number, key: string): boolean {
    const { slots } = this.#cluster.replica(replica)!;
    return slots.serves(registerKey(keyNamed(key)));
  }

  /** A move waits for a replica that has lost its memory until somebody rebuilds it. */
  #isSettled(): boolean {
    const { bitFlip, oldDisk, lostDisk } = this.#nemesis.counts;
    const isWaiting = (bitFlip ?? oldDisk ?? lostDisk) !== undefined;
    return this.#moves === undefined || this.#moves.isSettled || isWaiting;
  }

  /** A replica that ends itself: because of its disk that is a fault, for any other reason a finding. */
  #stopped(replica: number, error: Error): void {
    if (error instanceof ProtocolViolation)
      this.#report("rules", `replica ${replica}: ${error.message}`);
    else if (!isDiskError(error)) this.#report("failures", `replica ${replica}: ${error.stack}`);
    this.#nemesis.stopped(replica);
  }

  #failed(process: Process, error: unknown): void {
    if (error instanceof ProtocolViolation || isDiskError(error)) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#report("failures", `${process.name}: ${text}`);
  }

  /** Where the run stands, for people: in the text of a violation of liveness. */
  #why(): string {
    const waiting = this.#lines.filter(
      (line) => line.type === "op" && line.error !== undefined && line.end > this.#options.safetyMs,
    );
    return JSON.stringify({
      errors: [...new Set(this.#cluster.errors)],
      failed: waiting.slice(0, 5),
    });
  }

  #report(checker: string, message: string): void {
    this.#violations.push({ checker, key: "", message });
  }

  run(): Outcome {
    const { safetyMs, livenessMs } = this.#options;
    for (const replica of this.#cluster.replicas) this.#cluster.start(replica);
    this.#clock.runUntil(300);
    for (const actor of this.#actors)
      this.#clock.inside(actor.process, () => void this.#act(actor, safetyMs));
    this.#nemesis.start(safetyMs);
    this.#clock.runUntil(safetyMs);
    this.#nemesis.end();
    this.#clock.runUntil(safetyMs + SETTLE_MS);
    this.#checkLiveness(safetyMs + livenessMs);
    const names = [...this.#keys, ...this.#tables];
    const isHolder = (replica: number, key: string) => this.#serves(replica, key);
    this.#lines.push(...statesOf(this.#cluster, names, isHolder));
    this.#violations.push(...checkHistory(this.#lines));
    return {
      seed: this.#seed,
      history: this.#lines,
      violations: this.#violations,
      faults: this.#nemesis.counts,
      story: this.#nemesis.story,
      operations: this.#lines.filter(isOperation).length,
      tasks: this.#clock.tasks,
    };
  }

  async #act(actor: SimulatedActor, untilMs: number): Promise<void> {
    const [low, high] = this.#options.thinkMs;
    while (this.#clock.nowMs < untilMs) {
      await sleep(actor.random.between(low, high));
      if (actor.random.chance(this.#options.tableShare)) await actOnTable(actor, this.#tables);
      else await actOnKey(actor, this.#keys, this.#options.deleteShare);
    }
    this.#finished += 1;
  }

  /** Every client writes and reads, and everything must succeed; then the replicas must agree. */
  #checkLiveness(endMs: number): void {
    let failed = 0;
    let done = 0;
    for (const actor of this.#actors) {
      this.#clock.inside(actor.process, () => {
        void this.#prove(actor).then((failures) => {
          failed += failures;
          done += 1;
        });
      });
    }
    this.#moves?.settle();
    const isProved = () => done === this.#actors.length && this.#finished === this.#actors.length;
    const isDone = () => isProved() && this.#isSettled();
    this.#clock.runUntil(endMs, isDone);
    if (!this.#isSettled()) this.#report("liveness", `a move of slots is not over: ${this.#why()}`);
    if (failed > 0)
      this.#report(
        "liveness",
        `${failed} operations failed after the faults ended: ${this.#why()}`,
      );
    if (!isProved()) {
      for (const actor of this.#actors) for (const giveUp of actor.underWay) giveUp();
      this.#report("liveness", `clients still wait long after the faults ended: ${this.#why()}`);
    }
    this.#clock.runUntil(endMs);
    // A new member whose disk is damaged or replaced while it copies is barred like any other.
    const { bitFlip, oldDisk } = this.#nemesis.counts;
    const isDamaged = bitFlip !== undefined || oldDisk !== undefined;
    for (const replica of this.#cluster.replicas.filter(
      (number) => !this.#cluster.isWhole(number),
    )) {
      if (!isDamaged)
        this.#report("liveness", `replica ${replica} was not rebuilt: ${this.#why()}`);
    }
  }

  async #prove(actor: Actor): Promise<number> {
    let failures = 0;
    for (const key of this.#keys) {
      if (!(await putKey(actor, key, undefined, LIVENESS_TIMEOUT_MS))) failures += 1;
      if (!(await readKey(actor, key, LIVENESS_TIMEOUT_MS))) failures += 1;
    }
    for (const table of this.#tables) {
      if (!(await changeTable(actor, table, LIVENESS_TIMEOUT_MS))) failures += 1;
      if (!(await readRows(actor, table, LIVENESS_TIMEOUT_MS))) failures += 1;
    }
    return failures;
  }
}

function isDiskError(error: unknown): boolean {
  return error instanceof Error && /^(?:EIO|ENOSPC|EROFS): simulated/.test(error.message);
}
