/**
 * One torture: three replica processes and several client processes on loopback, faults and load
 * together, then no more faults, and everything must work again; then all that clients heard and all
 * that replicas hold is one history, which the checkers of the simulation read.
 */
import { type ChildProcess, fork } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bug } from "../services/kvsvr/protocol/planted.ts";
import { Random } from "../services/svrkit/seeded-random.ts";
import { checkHistory } from "../sim/checkers/all.ts";
import type { Violation } from "../sim/checkers/violation.ts";
import { formatHistory, isOperation, type Line, parseHistory } from "../sim/history.ts";
import type { ClientBriefing, ClientOrder, ClientReport } from "./client-main.ts";
import { machineClock } from "./clock.ts";
import { COMPILE_CACHE, REPLICAS, TortureCluster } from "./cluster.ts";
import { type FaultOptions, Nemesis } from "./faults.ts";
import { Links } from "./links.ts";
import { statesOf } from "./replica-states.ts";
import { type Figures, figuresOf } from "./report.ts";

const CLIENT_MAIN = join(import.meta.dirname, "client-main.ts");
/** Beside the replicas and the clients: who looks at the replicas. */
const OBSERVERS = 1;
/** After the faults: time to meet again, before every operation must succeed. */
const SETTLE_MS = 1_000;
/** An operation takes no longer than its timeout; its process does not answer when it is gone. */
const ORDER_TIMEOUT_MS = 60_000;

export interface TortureOptions {
  readonly seed: number;
  /** An empty folder: disks, logs and histories. */
  readonly root: string;
  readonly faults: FaultOptions;
  readonly clientProcesses: number;
  readonly clientsPerProcess: number;
  readonly syncMs: number;
  /** When nothing is wrong any more: how long an operation may take, and replicas to agree on a key. */
  readonly patienceMs: number;
  readonly bug?: Bug | undefined;
  /** Told what happens when it does, for people. */
  readonly say?: ((line: string) => void) | undefined;
}

export interface TortureOutcome {
  readonly faults: Readonly<Record<string, number>>;
  readonly unsynced: number;
  readonly figures: Figures;
  readonly violations: readonly Violation[];
  readonly historyPath: string;
}

export async function torture(options: TortureOptions): Promise<TortureOutcome> {
  const nodes = REPLICAS.length + options.clientProcesses + OBSERVERS;
  const links = new Links(nodes);
  const cluster = new TortureCluster({ ...options, links, bug: options.bug });
  const random = new Random(options.seed, "faults");
  const { faults, say = () => {} } = options;
  const nemesis = new Nemesis({ cluster, links, random, options: faults, nodes, say });
  const clients: ClientProcess[] = [];
  try {
    await cluster.start(nodes - 1);
    const startMs = machineClock.nowMs;
    for (let number = 0; number < options.clientProcesses; number++)
      clients.push(await startClient(options, cluster, { number, startMs }));
    await orderAll(clients, "begin");
    await nemesis.run();
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    await orderAll(clients, "stop");
    const failed = await orderAll(clients, "prove");
    await orderAll(clients, "end");
    const lines = clients.flatMap(({ path }) => parseHistory(readFileSync(path, "utf8")));
    const operations = lines.filter(isOperation).sort((a, b) => a.end - b.end);
    const keys = [...new Set(operations.map(({ key }) => key))];
    const history: Line[] = [
      ...operations,
      ...(await statesOf(cluster.replicas, keys, options.patienceMs)),
    ];
    const historyPath = join(options.root, "history.jsonl");
    writeFileSync(historyPath, formatHistory(history));
    return {
      faults: nemesis.counts,
      unsynced: nemesis.unsynced,
      figures: figuresOf(operations, nemesis.windows),
      violations: [
        ...nemesis.findings.map((message) => violation("failures", message)),
        ...(failed > 0 ? [violation("liveness", `${failed} operations failed in the end`)] : []),
        ...checkHistory(history),
      ],
      historyPath,
    };
  } finally {
    for (const { child } of clients) child.kill("SIGKILL");
    await cluster.close();
    links.close();
  }
}

function violation(checker: string, message: string): Violation {
  return { checker, key: "", message };
}

interface ClientProcess {
  readonly child: ChildProcess;
  readonly path: string;
}

async function startClient(
  options: TortureOptions,
  cluster: TortureCluster,
  { number, startMs }: { number: number; startMs: number },
): Promise<ClientProcess> {
  const historyPath = join(options.root, `client-${number}.jsonl`);
  const briefing: ClientBriefing = {
    process: number,
    clients: options.clientsPerProcess,
    firstClient: number * options.clientsPerProcess,
    allClients: options.clientProcesses * options.clientsPerProcess,
    seed: options.seed,
    proofTimeoutMs: options.patienceMs,
    addresses: await cluster.addressesFrom(REPLICAS.length + number),
    historyPath,
    startMs,
  };
  const child = fork(CLIENT_MAIN, [JSON.stringify(briefing)], {
    env: { ...process.env, NODE_COMPILE_CACHE: COMPILE_CACHE },
    execArgv: [],
  });
  return { child, path: historyPath };
}

/** Operations that failed under the order, in all of them. */
async function orderAll(clients: readonly ClientProcess[], order: ClientOrder): Promise<number> {
  const failures = await Promise.all(clients.map(({ child }) => orderOne(child, order)));
  return failures.reduce((sum, failed) => sum + failed, 0);
}

function orderOne(child: ChildProcess, order: ClientOrder): Promise<number> {
  return new Promise((resolve, reject) => {
    const giveUp = setTimeout(
      () => reject(new Error(`a client process did not ${order} within ${ORDER_TIMEOUT_MS} ms`)),
      ORDER_TIMEOUT_MS,
    );
    child.once("exit", (code) => reject(new Error(`a client process ended with code ${code}`)));
    child.once("message", (report: ClientReport) => {
      clearTimeout(giveUp);
      resolve(report.failures);
    });
    child.send(order, (error) => {
      if (error !== null) reject(error);
    });
  });
}
