/** Three etcd processes on this machine, with etcd's default settings. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { findFreePort } from "../../services/platform/free-ports.ts";
import { rest } from "../../services/svrkit/rest.ts";

const MEMBERS = ["a", "b", "c"];
const READY_MS_MAX = 30_000;
const LOOK_AGAIN_MS = 100;
const ASK_TIMEOUT_MS = 1_000;

interface Member {
  readonly child: ChildProcess;
  readonly endpoint: string;
}

/** "3.6.5"; undefined when there is no etcd on PATH. */
export function etcdVersion(): string | undefined {
  try {
    const output = execFileSync("etcd", ["--version"], { encoding: "utf8" });
    return /etcd Version: (\S+)/.exec(output)?.[1];
  } catch {
    return undefined;
  }
}

export class EtcdCluster {
  readonly #members: readonly Member[];

  private constructor(members: readonly Member[]) {
    this.#members = members;
  }

  /** Starts a new cluster with its data below `root`; resolves when it has a leader. */
  static async start(root: string): Promise<EtcdCluster> {
    const ports = await Promise.all(
      Array.from({ length: MEMBERS.length * 2 }, () => findFreePort("127.0.0.1")),
    );
    const peers = MEMBERS.map((_, i) => `http://127.0.0.1:${ports[MEMBERS.length + i]}`);
    const initial = MEMBERS.map((name, i) => `${name}=${peers[i]}`).join(",");
    const members = MEMBERS.map((name, i): Member => {
      const endpoint = `http://127.0.0.1:${ports[i]}`;
      const dir = join(root, name);
      mkdirSync(dir, { recursive: true });
      const log = openSync(join(dir, "etcd.log"), "w");
      // Only what a cluster on one machine needs; everything else is etcd's default.
      const args = ["--name", name, "--data-dir", join(dir, "data")];
      args.push("--listen-client-urls", endpoint, "--advertise-client-urls", endpoint);
      args.push("--listen-peer-urls", peers[i]!, "--initial-advertise-peer-urls", peers[i]!);
      args.push("--initial-cluster", initial, "--initial-cluster-state", "new");
      return { child: spawn("etcd", args, { stdio: ["ignore", log, log] }), endpoint };
    });
    const cluster = new EtcdCluster(members);
    // Replicas of ours end with their parent, these do not.
    process.once("exit", () => cluster.killAll());
    for (let waitedMs = 0; waitedMs < READY_MS_MAX; waitedMs += LOOK_AGAIN_MS) {
      if ((await cluster.#leader()) !== undefined) return cluster;
      await rest(LOOK_AGAIN_MS);
    }
    cluster.killAll();
    const log = readFileSync(join(root, MEMBERS[0]!, "etcd.log"), "utf8");
    throw new Error(`etcd has no leader after ${READY_MS_MAX / 1_000} s: ${log.slice(-1_000)}`);
  }

  get endpoints(): string[] {
    return this.#members.map((member) => member.endpoint);
  }

  get pids(): number[] {
    return this.#members.map(({ child }) => child.pid!);
  }

  /** kill -9. */
  async killLeader(): Promise<void> {
    const leader = await this.#leader();
    if (leader === undefined) throw new Error("etcd has no leader that could be killed");
    leader.child.kill("SIGKILL");
  }

  async #leader(): Promise<Member | undefined> {
    for (const member of this.#members) {
      const status = await statusOf(member);
      if (status !== undefined && status.leader === status.header.member_id) return member;
    }
    return undefined;
  }

  killAll(): void {
    for (const { child } of this.#members) child.kill("SIGKILL");
  }
}

interface Status {
  readonly header: { readonly member_id: string };
  /** "0": none is known. */
  readonly leader: string;
}

async function statusOf({ endpoint }: Member): Promise<Status | undefined> {
  try {
    const response = await fetch(`${endpoint}/v3/maintenance/status`, {
      method: "POST",
      body: "{}",
      signal: AbortSignal.timeout(ASK_TIMEOUT_MS),
    });
    return (await response.json()) as Status;
  } catch {
    return undefined; // it does not answer yet, or not any more
  }
}
