/**
 * One client process: `node torture/client-main.ts <briefing>`. Its clients run one operation after the
 * other and write down what they asked and heard, until they are told to stop; then, when everything
 * must work again, each proves it.
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { flushCompileCache } from "node:module";
import { KvClient } from "../services/kvsvr/client.ts";
import { Client, type ServiceAddress } from "../services/svrkit/client.ts";
import { Random } from "../services/svrkit/seeded-random.ts";
import type { Operation } from "../sim/history.ts";
import { type Actor, sleep } from "../sim/workload/clients.ts";
import { actOnKey, putKey, readKey } from "../sim/workload/keys.ts";
import { actOnTable, changeTable, readRows } from "../sim/workload/tables.ts";
import { machineClock } from "./clock.ts";

export interface ClientBriefing {
  readonly process: number;
  /** Clients in it, numbered on from `firstClient`. */
  readonly clients: number;
  readonly firstClient: number;
  /** In all processes. */
  readonly allClients: number;
  readonly seed: number;
  /** An operation of the proof that takes longer has failed. */
  readonly proofTimeoutMs: number;
  readonly addresses: readonly ServiceAddress[];
  readonly historyPath: string;
  /** When the first keys and tables were new. */
  readonly startMs: number;
}

/** `begin` is answered when an operation of each client is over: who starts is slow, and faults are for who runs. */
export type ClientOrder = "begin" | "stop" | "prove" | "end";
export type ClientReport = { did: ClientOrder; failures: number };

/**
 * Keys and tables are left to themselves after so long: a page must hold a table whole, and one that
 * rests shows at the end whether what it held stayed.
 */
const GENERATION_MS = 5_000;
const KEYS = 8;
const TABLES = 6;
const TABLE_SHARE = 0.4;
const THINK_MS_MAX = 12;
const RECENT_SHARE = 0.3;
const LARGE = { share: 0.04, bytesMax: 200_000 };

const briefing = JSON.parse(process.argv[2]!) as ClientBriefing;
const history = createWriteStream(briefing.historyPath);
const client = new Client({ process: `torture/client-${briefing.process}`, campus: "" });
const kv = new KvClient(client.callee("kvsvr", briefing.addresses, { caller: "torture" }));
let isStopping = false;

// Written at exit otherwise, which kill -9 does not wait for.
flushCompileCache();
const actors = Array.from({ length: briefing.clients }, (_, i) => actor(briefing.firstClient + i));
const firsts = actors.map(() => Promise.withResolvers<void>());
const begun = Promise.all(firsts.map(({ promise }) => promise));
const running = Promise.all(actors.map(act));
process.on("message", (order: ClientOrder) => void carryOut(order));
process.on("disconnect", () => process.exit(0));

function actor(index: number): Actor {
  const record = (operation: Operation) => history.write(`${JSON.stringify(operation)}\n`);
  const random = new Random(briefing.seed, `client ${index}`);
  const recentShare = RECENT_SHARE;
  const memory = { begun: 0, newest: new Map(), marks: new Map(), underWay: new Set<() => void>() };
  return { index, kv, clock: machineClock, random, record, large: LARGE, recentShare, ...memory };
}

function generationNow(): number {
  return Math.floor((machineClock.nowMs - briefing.startMs) / GENERATION_MS);
}

function namesOf(generation: number): { keys: string[]; tables: string[] } {
  return {
    keys: Array.from({ length: KEYS }, (_, i) => `key-${generation}-${i}`),
    tables: Array.from({ length: TABLES }, (_, i) => `table-${generation}-${i}`),
  };
}

async function act(one: Actor): Promise<void> {
  while (!isStopping) {
    const { keys, tables } = namesOf(generationNow());
    if (one.random.chance(TABLE_SHARE)) await actOnTable(one, tables);
    else await actOnKey(one, keys);
    firsts[one.index - briefing.firstClient]!.resolve();
    await sleep(one.random.between(0, THINK_MS_MAX));
  }
}

async function carryOut(order: ClientOrder): Promise<void> {
  let failures = 0;
  if (order === "begin") await begun;
  if (order === "stop") {
    isStopping = true;
    await running;
  }
  if (order === "prove") {
    for (const failed of await Promise.all(actors.map(prove))) failures += failed;
  }
  if (order === "end") {
    client.stop();
    history.end();
    await once(history, "finish");
  }
  process.send?.({ did: order, failures } satisfies ClientReport);
}

/**
 * Operations that failed although nothing is wrong: on the newest keys and tables, and reads of a share
 * of all others. What was accepted and lost its proposer before it was known to be decided is settled
 * by those reads.
 */
async function prove(one: Actor): Promise<number> {
  let failures = 0;
  const note = (isDone: boolean) => {
    failures += isDone ? 0 : 1;
  };
  const newest = generationNow();
  const { proofTimeoutMs } = briefing;
  for (let generation = one.index % briefing.allClients; generation <= newest; ) {
    const { keys, tables } = namesOf(generation);
    for (const key of keys) note(await readKey(one, key, proofTimeoutMs));
    for (const table of tables) note(await readRows(one, table, proofTimeoutMs));
    generation += briefing.allClients;
  }
  const { keys, tables } = namesOf(newest);
  for (const key of keys) note(await putKey(one, key, undefined, proofTimeoutMs));
  for (const table of tables) note(await changeTable(one, table, proofTimeoutMs));
  return failures;
}
