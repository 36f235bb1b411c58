/**
 * One run: a seed, three campuses, and many schedules beside each other under the same faults. First
 * faults and load together, with trimming all the time; then the faults end, every device comes back, and
 * the ledger of each schedule must be clean. Same seed and same code give the same run.
 */
import { type Key, Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { startTicking } from "../../sdk/ticker.ts";
import { passOver } from "../../services/logic/retention/pass.ts";
import { type SendsFiles, setSendsFiles } from "../../services/logic/text/open-sends-file.ts";
import { setRandomSource } from "../../services/svrkit/random.ts";
import { Random } from "../../services/svrkit/seeded-random.ts";
import type { Violation } from "../checkers/violation.ts";
import { Clock, installGlobals, type Process } from "../clock.ts";
import { sleep } from "../workload/clients.ts";
import { CAMPUSES, Campuses, type CampusesOptions, FIRST_DEVICE_NODE } from "./campuses.ts";
import { type MessageFaultWeights, MessageNemesis } from "./faults.ts";
import { checkSchedule } from "./ledger.ts";
import { Scene } from "./scene.ts";

export interface MessageOptions extends CampusesOptions {
  readonly schedules: number;
  readonly sends: number;
  readonly thinkMs: readonly [number, number];
  readonly safetyMs: number;
  readonly faults: MessageFaultWeights;
}

export const MESSAGE_OPTIONS: MessageOptions = {
  faults: {},
  network: { latencyMs: [0.1, 1.2], spikes: 0.01, spikeMs: 40 },
  disk: { syncMs: [0.3, 3], stalls: 0.01, stallMs: 60 },
  schedules: 40,
  sends: 2,
  thinkMs: [20, 900],
  safetyMs: 5_000,
};

export interface MessageOutcome {
  readonly seed: number;
  readonly schedules: number;
  readonly sends: number;
  readonly acked: number;
  readonly violations: readonly Violation[];
  readonly faults: Readonly<Record<string, number>>;
  /** What happened when, for people. */
  readonly story: readonly string[];
}

const START_MS = 400;
const SETTLE_MS = 2_500;
const DEADLINE_MS = 20_000;
const DEVICES_PER_SCENE = 5;
const TRIM_EVERY_MS = 600;
const DAY_MS = 24 * 3_600_000;
const RULES = {
  forget: "when-confirmed" as const,
  ...{ keepMs: DAY_MS, silentMs: DAY_MS, idsMs: 7 * DAY_MS, mediaMs: DAY_MS, timelineMs: DAY_MS },
};

/** The whole run takes place in one turn of the real event loop (sim/clock.ts). */
export function runMessages(seed: number, options = MESSAGE_OPTIONS): Promise<MessageOutcome> {
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

function runNow(seed: number, options: MessageOptions): MessageOutcome {
  const clock = new Clock();
  const random = new Random(seed, "bytes");
  setRandomSource((bytes) => random.fill(bytes));
  setSendsFiles(pageCache());
  const restore = installGlobals(clock, seed);
  const run = new Run(clock, seed, options);
  try {
    return run.run();
  } finally {
    run.close();
    restore();
    setSendsFiles(undefined);
    setRandomSource(undefined);
  }
}

class Run {
  readonly #clock: Clock;
  readonly #seed: number;
  readonly #options: MessageOptions;
  readonly #campuses: Campuses;
  readonly #scenes: readonly Scene[];
  readonly #nemesis: MessageNemesis;
  readonly #violations: Violation[] = [];
  /** Clients share one timer, which must be nobody's who can die. */
  readonly #stopTicking: () => void;
  #isTrimming = true;

  constructor(clock: Clock, seed: number, options: MessageOptions) {
    this.#clock = clock;
    this.#seed = seed;
    this.#options = options;
    this.#stopTicking = startTicking({ tick() {} });
    const campuses = new Campuses(clock, seed, options);
    this.#campuses = campuses;
    const sceneOptions = { ...options, untilMs: options.safetyMs };
    this.#scenes = Array.from({ length: options.schedules }, (_, number) => {
      const random = new Random(seed, `scene ${number}`);
      const firstNode = FIRST_DEVICE_NODE + number * DEVICES_PER_SCENE;
      return new Scene({ campuses, random, number, firstNode, options: sceneOptions });
    });
    const nodes = this.#scenes.flatMap(({ devices }) => devices.map(({ node }) => node));
    this.#nemesis = new MessageNemesis(campuses, new Random(seed, "faults"), {
      deviceNodes: nodes,
      weights: options.faults,
    });
    campuses.onFatal = (campus, error) => this.#failed(CAMPUSES[campus]!, error);
    clock.onFailure = (process: Process, error) => this.#failed(process.name, error);
  }

  run(): MessageOutcome {
    const { safetyMs } = this.#options;
    for (const campus of CAMPUSES.keys()) this.#campuses.start(campus);
    this.#clock.runUntil(START_MS);
    this.#clock.inside(this.#clock.outside, () => {
      for (const scene of this.#scenes) scene.start();
      void this.#trim();
    });
    this.#nemesis.start();
    this.#clock.runUntil(safetyMs);
    this.#nemesis.end();
    this.#clock.runUntil(safetyMs + SETTLE_MS);
    this.#settle();
    const schedules = this.#scenes.map((scene) => scene.schedule());
    for (const schedule of schedules) this.#violations.push(...checkSchedule(schedule));
    const sends = schedules.flatMap((schedule) => schedule.sends);
    return {
      ...{ seed: this.#seed, schedules: schedules.length, sends: sends.length },
      acked: sends.filter(({ ackedMs }) => ackedMs !== undefined).length,
      ...{ violations: this.#violations, faults: this.#nemesis.counts },
      story: this.#nemesis.story,
    };
  }

  close(): void {
    this.#isTrimming = false;
    this.#stopTicking();
    for (const { devices } of this.#scenes) for (const device of devices) device.turnOff("crash");
    this.#campuses.close();
  }

  #settle(): void {
    let settled = 0;
    let failed = 0;
    this.#clock.inside(this.#clock.outside, () => {
      for (const scene of this.#scenes) {
        void scene.settle().then((isSettled) => {
          settled += 1;
          if (!isSettled) failed += 1;
        });
      }
    });
    const endMs = this.#clock.nowMs + DEADLINE_MS;
    this.#clock.runUntil(endMs, () => settled === this.#scenes.length);
    const left = this.#scenes.length - settled + failed;
    if (left > 0) this.#report("liveness", `${left} schedules did not settle after the faults`);
  }

  /** Retention's own pass over these conversations, again and again. */
  async #trim(): Promise<void> {
    const callee = (service: string) => this.#campuses.callee(service, "retention");
    const parts = {
      ...{ accounts: callee("account-data"), inboxes: callee("inbox-data") },
      ...{ messages: callee("message-data"), groups: callee("group-data") },
      ...{ media: callee("media-data"), moments: callee("moments-data") },
      ...{ rules: RULES, restMs: 1, stopped: new AbortController().signal, now: Date.now },
    };
    while (this.#isTrimming) {
      await sleep(TRIM_EVERY_MS);
      await passOver(this.#tables(), parts);
    }
  }

  async *#tables(): AsyncGenerator<Key> {
    for (const { users, conversationId } of this.#scenes) {
      for (const user of users) yield { keyspace: Keyspace.INBOX, key: Buffer.from(user) };
      if (conversationId === "") continue;
      const keyspace = conversationId.startsWith("c:") ? Keyspace.MESSAGE : Keyspace.GROUP;
      yield { keyspace, key: Buffer.from(conversationId) };
    }
  }

  #failed(where: string, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#report("failures", `${where}: ${text}`);
  }

  #report(checker: string, message: string): void {
    this.#violations.push({ checker, key: "", message });
  }
}

/** Files of witnesses: they outlive the process, as the page cache does. */
function pageCache(): SendsFiles {
  const all = new Map<string, { bytes: Buffer }>();
  return {
    read: (path) => all.get(path)?.bytes,
    async create(path) {
      const file = { bytes: Buffer.alloc(0) };
      all.set(path, file);
      return {
        async write(bytes, offset, length, position) {
          const grown = Buffer.alloc(Math.max(file.bytes.length, position + length));
          file.bytes.copy(grown);
          bytes.copy(grown, position, offset, offset + length);
          file.bytes = grown;
        },
        datasync: async () => {},
        async truncate(length) {
          file.bytes = file.bytes.subarray(0, length);
        },
        close: async () => {},
      };
    },
    async rename(from, to) {
      const file = all.get(from);
      if (file !== undefined) all.set(to, file);
      all.delete(from);
    },
  };
}
