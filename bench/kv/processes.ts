/** The three replicas of the benchmark as processes on this machine. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BOOTSTRAP_FILE } from "../../services/kvsvr/identity.ts";
import type { Usage } from "../../services/platform/process-usage.ts";
import { V8_FLAGS } from "../../services/platform/supervisor.ts";
import type { ServiceAddress } from "../../services/svrkit/client.ts";
import { rest } from "../../services/svrkit/rest.ts";
import type { Stall } from "./stalls.ts";

export const CAMPUSES = ["a", "b", "c"];

const SERVE_MS_MAX = 30_000;
const LOOK_AGAIN_MS = 50;

/** What a replica tells about itself. */
export interface Facts {
  readonly counters: readonly (readonly [string, number])[];
  /** Since it was asked last. */
  readonly stalls: readonly Stall[];
  readonly usage: Usage;
  readonly isServing: boolean;
}

const NO_FACTS: Facts = {
  counters: [],
  stalls: [],
  usage: { cpuUs: 0, writtenBytes: 0 },
  isServing: false,
};

export class Replicas {
  readonly #children: readonly ChildProcess[];
  readonly addresses: readonly ServiceAddress[];

  private constructor(children: readonly ChildProcess[], addresses: readonly ServiceAddress[]) {
    this.#children = children;
    this.addresses = addresses;
  }

  /** Starts a new group with its data below `root`; resolves when all serve. */
  static async start(root: string): Promise<Replicas> {
    const children = CAMPUSES.map((campus, number) => {
      const dir = join(root, campus);
      mkdirSync(dir, { recursive: true });
      writeFileSync(join(dir, BOOTSTRAP_FILE), "");
      const path = join(import.meta.dirname, "replica-process.ts");
      return fork(path, [String(number), dir], { execArgv: nodeArguments() });
    });
    const ports = await Promise.all(children.map((child) => heard(child)));
    const addresses = CAMPUSES.map((campus, number): ServiceAddress => {
      return { campus, host: "127.0.0.1", port: Number(ports[number]) };
    });
    await Promise.all(children.map((child) => ask(child, addresses)));
    const replicas = new Replicas(children, addresses);
    await replicas.#allServe();
    return replicas;
  }

  async #allServe(): Promise<void> {
    for (let waitedMs = 0; waitedMs < SERVE_MS_MAX; waitedMs += LOOK_AGAIN_MS) {
      if ((await this.facts()).every((facts) => facts.isServing)) return;
      await rest(LOOK_AGAIN_MS);
    }
    throw new Error(`not every replica serves after ${SERVE_MS_MAX / 1_000} s`);
  }

  get pids(): number[] {
    return this.#children.map((child) => child.pid!);
  }

  /** Of all three; one that was killed tells nothing. */
  facts(): Promise<Facts[]> {
    return Promise.all(
      this.#children.map(async (child) =>
        child.killed ? NO_FACTS : ((await ask(child, "facts")) as Facts),
      ),
    );
  }

  /** kill -9. */
  kill(number: number): void {
    this.#children[number]!.kill("SIGKILL");
  }

  /** Ends what still runs at once. */
  killAll(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }

  /** Stops in order those that were not killed, everything written down; their last facts. */
  stop(): Promise<Facts[]> {
    const alive = this.#children.filter((child) => !child.killed);
    return Promise.all(
      alive.map(async (child) => {
        const exited = new Promise((resolve) => child.once("exit", resolve));
        const facts = (await ask(child, "stop")) as Facts;
        await exited;
        return facts;
      }),
    );
  }
}

/** As on the platform; CPU_PROFILE: a folder for profiles of the replicas, NODE_ARGS: more arguments. */
function nodeArguments(): string[] {
  const { CPU_PROFILE: dir, NODE_ARGS: more = "" } = process.env;
  const profile = dir === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${dir}`];
  return [...V8_FLAGS, ...profile, ...more.split(" ").filter((argument) => argument !== "")];
}

/** The next message of a child; rejects when it ends before. */
function heard(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const ended = (code: number | null) =>
      reject(new Error(`a replica ended with code ${code}; see its log above`));
    child.once("exit", ended);
    child.once("message", (message) => {
      child.off("exit", ended);
      resolve(message);
    });
  });
}

function ask(child: ChildProcess, question: readonly ServiceAddress[] | string): Promise<unknown> {
  const answer = heard(child);
  child.send(question);
  return answer;
}

export function counted(facts: readonly Facts[], counter: string): number {
  return facts.reduce(
    (sum, { counters }) => sum + (counters.find(([name]) => name === counter)?.[1] ?? 0),
    0,
  );
}
