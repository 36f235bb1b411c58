/**
 * Three replicas, each a process with a disk of its own, and the ways to end them. A process that ends
 * by itself is a finding; it is started again like by its supervisor.
 */
import { type ChildProcess, fork } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BOOTSTRAP_FILE } from "../services/kvsvr/identity.ts";
import type { Bug } from "../services/kvsvr/protocol/planted.ts";
import { ReplicasClient } from "../services/kvsvr/replicas-client.ts";
import { Client, type ServiceAddress } from "../services/svrkit/client.ts";
import type { Random } from "../services/svrkit/seeded-random.ts";
import type { Links } from "./links.ts";
import { buildNotes, cutPower, type Loss, unsyncedBytes } from "./power/power-cut.ts";
import type { ReplicaBriefing } from "./replica-main.ts";

export const CAMPUSES = ["a", "b", "c"] as const;
export const REPLICAS = [0, 1, 2] as const;

const MAIN = join(import.meta.dirname, "replica-main.ts");
/** Most of a start would go into stripping types and compiling. */
export const COMPILE_CACHE = join(import.meta.dirname, "../node_modules/.cache/tricampus");
const START_TIMEOUT_MS = 15_000;
/** Often, so that power is cut while the state engine writes too. */
const CHECKPOINT_MS = 700;
/** A power cut that finds nothing to take proves nothing: so often another moment is looked for. */
const LOOKS_FOR_UNSYNCED = 150;

export interface ClusterParts {
  readonly root: string;
  readonly links: Links;
  readonly bug: Bug | undefined;
  /** How much longer than here a sync takes. */
  readonly syncMs: number;
}

export class TortureCluster {
  readonly #root: string;
  readonly #links: Links;
  readonly #bug: Bug | undefined;
  readonly #environment: ReturnType<typeof buildNotes>;
  readonly #children: (ChildProcess | undefined)[] = [undefined, undefined, undefined];
  readonly #addresses: ServiceAddress[][] = [];
  readonly #client = new Client({ process: "torture", campus: "" });
  #replicas: ReplicasClient | undefined;
  /** Power cuts so far: every other one takes all that was not synced, from every disk. */
  #cuts = 0;
  /** Told when a replica's process ends without having been asked to. */
  onEnd: (replica: number, how: string) => void = () => {};

  constructor({ root, links, bug, syncMs }: ClusterParts) {
    this.#root = root;
    this.#links = links;
    this.#bug = bug;
    this.#environment = buildNotes(root, syncMs);
  }

  /** `observer`: the node from which the replicas are looked at. */
  async start(observer: number): Promise<void> {
    for (const replica of REPLICAS) {
      mkdirSync(this.disk(replica), { recursive: true });
      mkdirSync(this.#journals(replica));
      writeFileSync(join(this.disk(replica), BOOTSTRAP_FILE), "");
      this.#addresses[replica] = await this.addressesFrom(replica);
    }
    const callee = this.#client.callee("kvsvr", await this.addressesFrom(observer), {
      caller: "torture",
    });
    this.#replicas = new ReplicasClient(callee);
    await Promise.all(REPLICAS.map((replica) => this.startReplica(replica)));
  }

  addressesFrom(node: number): Promise<ServiceAddress[]> {
    return Promise.all(CAMPUSES.map((campus, to) => this.#links.open(node, to, campus)));
  }

  get replicas(): ReplicasClient {
    if (this.#replicas === undefined) throw new Error("the cluster was not started");
    return this.#replicas;
  }

  disk(replica: number): string {
    return join(this.#root, CAMPUSES[replica]!);
  }

  #journals(replica: number): string {
    return join(this.#root, `${CAMPUSES[replica]}-journals`);
  }

  logPath(replica: number): string {
    return join(this.#root, `${CAMPUSES[replica]}.log`);
  }

  /** Resolves when it listens. */
  async startReplica(number: number): Promise<void> {
    const briefing: ReplicaBriefing = {
      number,
      campus: CAMPUSES[number]!,
      dir: this.disk(number),
      addresses: this.#addresses[number]!,
      checkpointMs: CHECKPOINT_MS,
      bug: this.#bug,
    };
    const words = openSync(this.logPath(number), "a");
    const noted = this.#environment(this.disk(number), this.#journals(number));
    const child = fork(MAIN, [JSON.stringify(briefing)], {
      env: { ...process.env, ...noted, NODE_COMPILE_CACHE: COMPILE_CACHE },
      execArgv: [],
      stdio: ["ignore", words, words, "ipc"],
    });
    closeSync(words);
    this.#children[number] = child;
    const port = await new Promise<number | undefined>((resolve) => {
      const giveUp = setTimeout(() => resolve(undefined), START_TIMEOUT_MS);
      const settle = (value: number | undefined) => {
        clearTimeout(giveUp);
        resolve(value);
      };
      child.once("message", (told) => settle(Number(told)));
      child.once("exit", (code, signal) => {
        settle(undefined);
        if (this.#children[number] === child)
          this.#ended(number, `${signal ?? `exit code ${code}`}`);
      });
    });
    if (port !== undefined) this.#links.moved(number, port);
    else if (this.#children[number] === child) this.onEnd(number, "it does not start");
  }

  #ended(number: number, how: string): void {
    this.#children[number] = undefined;
    this.onEnd(number, how);
  }

  /** kill -9; resolves when it is gone. */
  async kill(number: number): Promise<void> {
    const child = this.#children[number];
    this.#children[number] = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  }

  freeze(number: number): void {
    this.#children[number]?.kill("SIGSTOP");
  }

  thaw(number: number): void {
    this.#children[number]?.kill("SIGCONT");
  }

  /**
   * The power of these replicas goes at one moment, preferably one in which something of each is
   * written and not synced.
   */
  async cutPower(numbers: readonly number[], random: Random): Promise<Loss> {
    for (let look = 1; ; look++) {
      for (const number of numbers) this.freeze(number);
      const isBusy = numbers.every((number) => unsyncedBytes(this.#journals(number)) > 0);
      if (isBusy || look === LOOKS_FOR_UNSYNCED) break;
      for (const number of numbers) this.thaw(number);
      await new Promise((resolve) => setTimeout(resolve, random.between(1, 10)));
    }
    await Promise.all(numbers.map((number) => this.kill(number)));
    const takesAll = this.#cuts % 2 === 0;
    this.#cuts += 1;
    const losses = numbers.map((number) => {
      const folders = { disk: this.disk(number), journals: this.#journals(number) };
      return cutPower(folders, takesAll, random);
    });
    return {
      files: losses.reduce((sum, { files }) => sum + files, 0),
      unsynced: losses.reduce((sum, { unsynced }) => sum + unsynced, 0),
    };
  }

  /** Resolves to why a replica does not vote after so long; undefined: it does. */
  async whyNotVoting(number: number, timeoutMs: number): Promise<string | undefined> {
    const giveUp = performance.now() + timeoutMs;
    for (;;) {
      const reason = await this.replicas.refusal(number);
      if (reason === undefined || performance.now() >= giveUp) return reason;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  async close(): Promise<void> {
    this.#client.stop();
    await Promise.all(REPLICAS.map((replica) => this.kill(replica)));
  }
}
