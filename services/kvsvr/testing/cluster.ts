/**
 * Three real replicas in one process on loopback ports, for tests: real log, real engine, real
 * protocol. A replica can be stopped, started again on its disk, or given edges that misbehave.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findFreePort } from "../../platform/free-ports.ts";
import { Client, type ServiceAddress } from "../../svrkit/client.ts";
import { Blocks } from "../../svrkit/failover/blocks.ts";
import type { Shards } from "../../svrkit/failover/shards.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { Server } from "../../svrkit/server.ts";
import { groupService, KvClient } from "../client.ts";
import { type Config, configSchema } from "../config.ts";
import { BOOTSTRAP_FILE } from "../identity.ts";
import { type OpenReplica, openReplica, type ReplicaEdges } from "../open.ts";
import type { StateEngine } from "../storage/engine.ts";
import type { Files } from "../storage/files.ts";
import { systemFiles } from "../storage/files.ts";
import { openLmdb } from "../storage/lmdb.ts";

const CAMPUSES = ["a", "b", "c"];

interface Running {
  readonly server: Server;
  readonly client: Client;
  readonly opened: OpenReplica;
}

export interface TestCluster {
  readonly kv: KvClient;
  /** What the replicas and the client take for blocked. */
  readonly blocks: Blocks;
  /** The replicas in the order of their numbers. */
  readonly addresses: readonly ServiceAddress[];
  readonly dirs: readonly string[];
  /** undefined while it is down. */
  running(number: number): OpenReplica | undefined;
  replica(number: number): OpenReplica;
  /**
   * Waits until every replica that runs has served for half a second, at most 10 s: each compares
   * itself with the others after its start, which would send clients away or find what a test plants.
   */
  allServe(): Promise<void>;
  stop(number: number): Promise<void>;
  start(number: number, files?: Files): Promise<void>;
  close(): Promise<void>;
}

export async function startCluster(
  options: {
    files?: (replica: number) => Files;
    engine?: (replica: number, path: string, incarnation: number) => StateEngine;
    config?: Partial<Config>;
    fatal?: ReplicaEdges["fatal"];
    /** Fills the replicas' folders before they start. */
    seed?: (dirs: readonly string[]) => Promise<void>;
    /** Number of the group; the addresses of all groups, by service, to which it adds its own. */
    group?: number;
    directory?: Directory;
    shards?: Shards;
  } = {},
): Promise<TestCluster> {
  const root = mkdtempSync(join(tmpdir(), "tricampus-kv-"));
  const dirs = CAMPUSES.map((campus) => join(root, campus));
  for (const dir of dirs) {
    mkdirSync(dir);
    writeFileSync(join(dir, BOOTSTRAP_FILE), "");
  }
  await options.seed?.(dirs);
  const addresses: ServiceAddress[] = await Promise.all(CAMPUSES.map(freeAddress));
  const running: (Running | undefined)[] = [undefined, undefined, undefined];
  const blocks = new Blocks();
  const { group = 1, directory = new Map(), shards, fatal = rethrow, engine: on = lmdb } = options;
  directory.set(groupService(group), addresses);
  const start = async (number: number, files: Files = systemFiles) => {
    const restart = () => void stop(number).then(() => start(number, files));
    const dir = dirs[number]!;
    const config = configSchema.parse({ group, ...options.config });
    const engine = (path: string, incarnation: number) => on(number, path, incarnation);
    const edges = { dir, number, config, files, engine, restart, fatal };
    running[number] = await startReplica(edges, { addresses, blocks, directory, shards });
  };
  const stop = async (number: number) => {
    const gone = running[number];
    running[number] = undefined;
    gone?.client.stop();
    await gone?.server.stop();
    await gone?.opened.stop();
  };
  await Promise.all(CAMPUSES.map((_, number) => start(number, options.files?.(number))));
  const client = new Client({ process: "test", campus: "" }, blocks);
  const kv = new KvClient(client.callee("kvsvr", addresses, { caller: "test" }));
  return {
    kv,
    blocks,
    addresses,
    dirs,
    running: (number) => running[number]?.opened,
    replica: (number) => running[number]!.opened,
    async allServe() {
      const deadlineMs = performance.now() + 10_000;
      let sinceMs = performance.now();
      while (performance.now() - sinceMs < 500) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        if (running.every((one) => one?.opened.replica?.isServing !== false)) continue;
        sinceMs = performance.now();
        if (sinceMs > deadlineMs) throw new Error("not every replica serves after 10 s");
      }
    },
    stop,
    start,
    async close() {
      client.stop();
      await Promise.all(CAMPUSES.map((_, number) => stop(number)));
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function lmdb(_: number, path: string, incarnation: number): StateEngine {
  return openLmdb(path, incarnation);
}

function rethrow(error: Error): never {
  throw error;
}

/** A KV group's addresses, by its service. */
export type Directory = Map<string, readonly ServiceAddress[]>;

async function freeAddress(campus: string): Promise<ServiceAddress> {
  const host = "127.0.0.1";
  return { campus, host, port: await findFreePort(host) };
}

async function startReplica(
  edges: Pick<ReplicaEdges, "dir" | "number" | "config" | "files" | "engine" | "restart" | "fatal">,
  around: {
    addresses: readonly ServiceAddress[];
    blocks: Blocks;
    directory: Directory;
    shards: Shards | undefined;
  },
): Promise<Running> {
  const { number } = edges;
  const { addresses, blocks, directory, shards } = around;
  const campus = CAMPUSES[number]!;
  const identity = { process: `${campus}/kvsvr`, campus };
  const log = silentLogger();
  const server = new Server(identity, log);
  const client = new Client(identity, blocks);
  const opened = await openReplica({
    ...edges,
    campus,
    callee: client.callee("kvsvr", addresses, { caller: "kvsvr", local: server }),
    ...(shards !== undefined && {
      groups: {
        shards,
        callee: (service: string) =>
          client.callee(service, directory.get(service)!, { caller: "kvsvr" }),
      },
    }),
    server,
    log,
  });
  await server.listen(addresses[number]!);
  return { server, client, opened };
}
