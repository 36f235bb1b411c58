/** Three replica processes on this machine, with the flags that the platform gives its processes. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { BOOTSTRAP_FILE } from "../services/kvsvr/identity.ts";
import { findFreePort } from "../services/platform/free-ports.ts";
import { V8_FLAGS } from "../services/platform/supervisor.ts";
import { monotonicMs } from "../services/svrkit/call.ts";
import type { ServiceAddress } from "../services/svrkit/client.ts";
import { rest } from "../services/svrkit/rest.ts";

const CAMPUSES = ["a", "b", "c"];
const HOST = "127.0.0.1";
const POLL_MS = 50;

export interface Facts {
  readonly counters: Readonly<Record<string, number>>;
  /** Of the process since its start. */
  readonly cpuMs: number;
  readonly isServing: boolean;
  /** Bytes: of the process as Node counts them, and of the store's entries. */
  readonly memory: Readonly<Record<string, number>>;
}

export function addressesOf(ports: readonly number[]): ServiceAddress[] {
  return ports.map((port, number) => ({ campus: CAMPUSES[number]!, host: HOST, port }));
}

export class ReplicaProcesses {
  readonly addresses: readonly ServiceAddress[];
  readonly #root: string;
  readonly #isTemporary: boolean;
  readonly #config: string;
  readonly #children: ChildProcess[] = [];

  private constructor(ports: readonly number[], options: { dir?: string; config: object }) {
    this.addresses = addressesOf(ports);
    this.#isTemporary = options.dir === undefined;
    this.#root = options.dir ?? mkdtempSync(join(tmpdir(), "tricampus-bench-"));
    this.#config = JSON.stringify(options.config);
  }

  /** `dir`: where their data goes and stays; else it goes with them. `config`: KVSvr's options. */
  static async start(options: { dir?: string; config: object }): Promise<ReplicaProcesses> {
    const ports = await Promise.all(CAMPUSES.map(() => findFreePort(HOST)));
    const replicas = new ReplicaProcesses(ports, options);
    for (const number of CAMPUSES.keys()) {
      mkdirSync(replicas.dir(number), { recursive: true });
      writeFileSync(join(replicas.dir(number), BOOTSTRAP_FILE), "");
    }
    await replicas.startAll();
    return replicas;
  }

  dir(number: number): string {
    return join(this.#root, CAMPUSES[number]!);
  }

  async startAll(): Promise<void> {
    await Promise.all(CAMPUSES.map((_, number) => this.startOne(number)));
  }

  /** Resolves when its door is open; it may still be catching up. */
  async startOne(number: number): Promise<void> {
    const ports = this.addresses.map(({ port }) => port).join();
    const parts = ["--number", `${number}`, "--dir", this.dir(number), "--ports", ports];
    const entry = fileURLToPath(new URL("replica-process.ts", import.meta.url));
    const child = fork(entry, [...parts, "--config", this.#config], {
      execArgv: [...V8_FLAGS, ...askedFlags(number)],
    });
    this.#children[number] = child;
    await new Promise<void>((resolve, reject) => {
      child.once("message", () => resolve());
      child.once("exit", () => reject(new Error(`replica ${number} ended while it started`)));
    });
  }

  /** kill -9. */
  async kill(number: number): Promise<void> {
    const child = this.#children[number]!;
    child.kill("SIGKILL");
    await once(child, "exit");
  }

  facts(number: number): Promise<Facts> {
    const child = this.#children[number]!;
    return new Promise((resolve) => {
      child.once("message", (message) => resolve(message as Facts));
      child.send("facts");
    });
  }

  allFacts(): Promise<Facts[]> {
    return Promise.all(CAMPUSES.map((_, number) => this.facts(number)));
  }

  pid(number: number): number {
    return this.#children[number]!.pid!;
  }

  /** Memory that no file stands behind, bytes. */
  anonymousBytes(number: number): number {
    const status = readFileSync(`/proc/${this.pid(number)}/status`, "utf8");
    return Number(/RssAnon:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024;
  }

  /** Resolves when a replica serves clients; throws after so long. */
  async serving(number: number, limitMs: number): Promise<void> {
    const giveUpMs = monotonicMs() + limitMs;
    while (!(await this.facts(number)).isServing) {
      if (monotonicMs() > giveUpMs)
        throw new Error(`replica ${number} does not serve after ${limitMs} ms`);
      await rest(POLL_MS);
    }
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      child.disconnect();
      await once(child, "exit");
    }
    if (this.#isTemporary) rmSync(this.#root, { recursive: true, force: true });
  }
}

/** CPU_PROFILE=DIR writes a profile of each process; NODE_ARGS are Node's own. */
function askedFlags(number: number): string[] {
  const { CPU_PROFILE: dir, NODE_ARGS: args = "" } = process.env;
  const profile =
    dir === undefined
      ? []
      : [
          "--cpu-prof",
          `--cpu-prof-dir=${dir}`,
          `--cpu-prof-name=replica-${number}-${Date.now()}.cpuprofile`,
        ];
  return [...profile, ...args.split(" ").filter((arg) => arg !== "")];
}
