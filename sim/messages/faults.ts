/** What goes wrong while messages flow, drawn one after the other; at most one campus is away at a time. */
import type { Random } from "../../services/svrkit/seeded-random.ts";
import { CAMPUSES, type Campuses } from "./campuses.ts";

const WEIGHTS = {
  kill: 4,
  power: 2,
  powerAll: 0.3,
  pause: 2,
  partition: 3,
  oneWay: 2,
  slowLink: 2,
  resetDevice: 5,
  cutDevice: 2,
  queueGroup: 2,
} as const;
export type MessageFault = keyof typeof WEIGHTS;
/** How often each is drawn beside the others, where it is not as usual. */
export type MessageFaultWeights = Partial<Record<MessageFault, number>>;

const EVERY_MS = [100, 900] as const;
const LASTS_MS = [30, 2_500] as const;

export class MessageNemesis {
  readonly #campuses: Campuses;
  readonly #random: Random;
  readonly #deviceNodes: readonly number[];
  readonly #weights: readonly [MessageFault, number][];
  readonly counts: Record<string, number> = {};
  readonly story: string[] = [];
  /** The campus that is away, until it is back. */
  #away: number | undefined;
  #isOver = false;

  constructor(
    campuses: Campuses,
    random: Random,
    { deviceNodes, weights }: { deviceNodes: readonly number[]; weights: MessageFaultWeights },
  ) {
    this.#campuses = campuses;
    this.#random = random;
    this.#deviceNodes = deviceNodes;
    this.#weights = Object.entries({ ...WEIGHTS, ...weights }) as [MessageFault, number][];
  }

  start(): void {
    this.#later(this.#random.between(...EVERY_MS), () => {
      if (this.#isOver) return;
      this.#acts[this.#draw()](this.#lasts());
      this.start();
    });
  }

  #later(ms: number, act: () => void): void {
    const { clock } = this.#campuses;
    clock.after(clock.outside, ms, act);
  }

  #draw(): MessageFault {
    let roll = this.#random.next() * this.#weights.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [kind, weight] of this.#weights) {
      roll -= weight;
      if (roll < 0) return kind;
    }
    return "kill";
  }

  #lasts(): number {
    const [low, high] = LASTS_MS;
    return low + this.#random.next() ** 2 * (high - low);
  }

  #count(kind: MessageFault, what: string): void {
    this.counts[kind] = (this.counts[kind] ?? 0) + 1;
    this.story.push(`${this.#campuses.clock.nowMs.toFixed(1)} ms: ${kind} ${what}`);
  }

  /** Takes one campus away for a while, unless another one is. */
  #takeAway(kind: MessageFault, lastsMs: number, act: (campus: number) => () => void): void {
    if (this.#away !== undefined) return;
    const campus = this.#random.index(CAMPUSES.length);
    this.#away = campus;
    this.#count(kind, `campus ${CAMPUSES[campus]} for ${lastsMs.toFixed(0)} ms`);
    const back = act(campus);
    this.#later(lastsMs, () => {
      back();
      this.#away = undefined;
    });
  }

  readonly #acts: Record<MessageFault, (lastsMs: number) => void> = {
    kill: (lastsMs) => this.#takeAway("kill", lastsMs, (campus) => this.#crash(campus, "kill")),
    power: (lastsMs) => this.#takeAway("power", lastsMs, (campus) => this.#crash(campus, "power")),
    powerAll: (lastsMs) => {
      if (this.#away !== undefined) return;
      this.#count("powerAll", "");
      for (const campus of CAMPUSES.keys()) this.#later(lastsMs / 4, this.#crash(campus, "power"));
    },
    pause: (lastsMs) => {
      this.#takeAway("pause", lastsMs, (campus) => {
        const process = this.#campuses.process(campus);
        if (process !== undefined) process.paused = true;
        return () => process !== undefined && this.#campuses.clock.resume(process);
      });
    },
    partition: (lastsMs) => {
      const withDevices = this.#random.chance(0.5);
      this.#takeAway("partition", lastsMs, (campus) => this.#cut(campus, { withDevices }));
    },
    oneWay: (lastsMs) => {
      const only = this.#random.chance(0.5) ? "in" : "out";
      this.#takeAway("oneWay", lastsMs, (campus) => this.#cut(campus, { only }));
    },
    slowLink: (lastsMs) => {
      const [from, to] = [this.#random.index(3), this.#random.index(3)];
      if (from === to) return;
      this.#count("slowLink", `${from}>${to}`);
      this.#campuses.network.slow(from, to, this.#random.between(5, 200));
      this.#later(lastsMs, () => this.#campuses.network.slow(from, to, 0));
    },
    resetDevice: () => {
      const [node, door] = [this.#random.pick(this.#deviceNodes), this.#door()];
      if (this.#campuses.network.reset(node, door)) this.#count("resetDevice", `${node}-${door}`);
    },
    cutDevice: (lastsMs) => {
      const [node, door] = [this.#random.pick(this.#deviceNodes), this.#door()];
      // Requests get through and answers do not, or the other way round.
      const [from, to] = this.#random.chance(0.5) ? [node, door] : [door, node];
      this.#count("cutDevice", `${from}>${to}`);
      this.#campuses.network.block(from, to);
      this.#later(lastsMs, () => this.#campuses.network.unblock(from, to));
    },
    queueGroup: (lastsMs) => {
      const group = this.#random.pick([1, 2]);
      const spared = this.#random.index(CAMPUSES.length);
      this.#count("queueGroup", `group ${group} but for campus ${CAMPUSES[spared]}`);
      for (const campus of CAMPUSES.keys())
        if (campus !== spared) this.#campuses.setQueueLog(campus, group, false);
      this.#later(lastsMs, () => {
        for (const campus of CAMPUSES.keys()) this.#campuses.setQueueLog(campus, group, true);
      });
    },
  };

  #door(): number {
    return this.#campuses.nodesOf(this.#random.index(CAMPUSES.length))[1]!;
  }

  #crash(campus: number, how: "kill" | "power"): () => void {
    this.#campuses.end(campus, how);
    return () => this.#campuses.start(campus);
  }

  #cut(campus: number, how: { withDevices?: boolean; only?: "in" | "out" }): () => void {
    const { network } = this.#campuses;
    const own = this.#campuses.nodesOf(campus);
    const campuses = [...CAMPUSES.keys()].filter((other) => other !== campus);
    const others = campuses.flatMap((other) => this.#campuses.nodesOf(other));
    const away = how.withDevices === true ? [...others, ...this.#deviceNodes] : others;
    const links = own.flatMap((node) =>
      away.flatMap((other): [number, number][] => [
        ...(how.only === "in" ? [] : [[node, other] as [number, number]]),
        ...(how.only === "out" ? [] : [[other, node] as [number, number]]),
      ]),
    );
    for (const [from, to] of links) network.block(from, to);
    return () => {
      for (const [from, to] of links) network.unblock(from, to);
    };
  }

  /** Ends every fault: who is down starts, who is cut off joins. */
  end(): void {
    this.#isOver = true;
    const { network } = this.#campuses;
    const nodes = [...CAMPUSES.keys()].flatMap((campus) => this.#campuses.nodesOf(campus));
    const all = [...nodes, ...this.#deviceNodes];
    for (const one of nodes) {
      for (const other of all) {
        for (const [from, to] of [
          [one, other],
          [other, one],
        ] as const) {
          network.unblock(from, to);
          network.slow(from, to, 0);
        }
      }
    }
    for (const campus of CAMPUSES.keys()) {
      for (const group of [1, 2]) this.#campuses.setQueueLog(campus, group, true);
      const process = this.#campuses.process(campus);
      if (process?.paused === true) this.#campuses.clock.resume(process);
      this.#campuses.start(campus);
    }
  }
}
