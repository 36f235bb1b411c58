/**
 * Three real replicas and any number of real clients, each a process of the simulated clock on the
 * simulated network; a replica's disk outlives its processes.
 */

import { pino } from "pino";
import { KvClient } from "../services/kvsvr/client.ts";
import { configSchema } from "../services/kvsvr/config.ts";
import { BOOTSTRAP_FILE, REBUILD_FILE } from "../services/kvsvr/identity.ts";
import { type OpenReplica, openReplica } from "../services/kvsvr/open.ts";
import type { Replica } from "../services/kvsvr/replica.ts";
import { Client } from "../services/svrkit/client.ts";
import type { PeerAddress } from "../services/svrkit/failover/peer.ts";
import type { Logger } from "../services/svrkit/log.ts";
import { Server } from "../services/svrkit/server.ts";
import { type Clock, Process } from "./clock.ts";
import { Disk, type DiskOptions } from "./disk.ts";
import { Network, type NetworkOptions } from "./network.ts";
import { Random } from "./seed.ts";

const CAMPUSES = ["a", "b", "c"] as const;
export const REPLICAS = [0, 1, 2] as const;

const DIR = "disk";
const FIRST_CLIENT_NODE = 10;
/** A supervisor starts again what ended by itself. */
const RESTART_MS = 50;

interface Running {
  readonly process: Process;
  readonly server: Server;
  readonly client: Client;
  opened: OpenReplica | undefined;
}

export interface ClusterOptions {
  readonly network: NetworkOptions;
  readonly disk: DiskOptions;
  readonly checkpointMs: number;
}

/** How a replica ends: by a signal, with its host's power, or in order. */
type End = "kill" | "power";

export class Cluster {
  readonly clock: Clock;
  readonly network: Network;
  readonly disks: readonly Disk[];
  readonly #options: ClusterOptions;
  readonly #running: (Running | undefined)[] = [undefined, undefined, undefined];
  readonly #log: Logger;
  /** What replicas logged as an error: why one refuses to serve. */
  readonly errors: string[] = [];
  /** Told when a replica cannot start, or stops because a promise is at risk. */
  onFatal: (replica: number, error: Error) => void = () => {};

  constructor(clock: Clock, seed: number, options: ClusterOptions) {
    this.clock = clock;
    this.#options = options;
    const write = (line: string) => {
      const { msg, reason, err } = JSON.parse(line);
      this.errors.push(`${msg} ${reason ?? err?.message ?? ""}`);
    };
    this.#log = pino({ level: "error", timestamp: false, base: null }, { write });
    this.network = new Network(clock, new Random(seed, "network"), options.network);
    this.disks = REPLICAS.map(
      (replica) => new Disk(clock, new Random(seed, `disk ${replica}`), options.disk),
    );
    for (const disk of this.disks) disk.texts.replace(`${DIR}/${BOOTSTRAP_FILE}`, "");
  }

  isRunning(replica: number): boolean {
    return this.#running[replica] !== undefined;
  }

  process(replica: number): Process | undefined {
    return this.#running[replica]?.process;
  }

  /** The replica, unless it is down or refuses everything. */
  replica(number: number): Replica | undefined {
    return this.#running[number]?.opened?.replica;
  }

  /** It may vote. */
  votes(number: number): boolean {
    const replica = this.replica(number);
    return replica !== undefined && replica.barred === undefined;
  }

  start(number: number): void {
    if (this.isRunning(number)) return;
    const process = new Process(`replica ${number}`);
    const campus = CAMPUSES[number]!;
    const identity = { process: `${campus}/kvsvr`, campus };
    const server = new Server(identity, this.#log);
    const client = new Client(identity);
    const running: Running = { process, server, client, opened: undefined };
    this.#running[number] = running;
    this.clock.inside(process, () => {
      this.#open(number, running).then(
        () => this.network.listen(number, process, server),
        (error: unknown) => this.onFatal(number, asError(error)),
      );
    });
  }

  async #open(number: number, { process, server, client }: Running): Promise<void> {
    const campus = CAMPUSES[number]!;
    const disk = this.disks[number]!;
    const options = { caller: "kvsvr", local: server };
    const opened = await openReplica({
      dir: DIR,
      number,
      campus,
      config: configSchema.parse({ checkpointMs: this.#options.checkpointMs }),
      callee: client.calleeFrom("kvsvr", this.#addresses({ node: number, process }), options),
      server,
      log: this.#log,
      files: disk.files(process),
      engine: () => disk.engine.openBy(process, this.clock, () => disk.commitMs()),
      fatal: (error) => {
        this.onFatal(number, error);
        throw error;
      },
      restart: () => {
        this.end(number, "kill");
        this.clock.after(this.clock.outside, RESTART_MS, () => this.start(number));
      },
    });
    const running = this.#running[number];
    if (running?.process === process) running.opened = opened;
  }

  #addresses(from: { node: number; process: Process }): PeerAddress[] {
    return REPLICAS.map((replica) => ({
      campus: CAMPUSES[replica]!,
      label: `replica ${replica}`,
      dial: (timeoutMs) => this.network.dial(from, replica, timeoutMs),
    }));
  }

  /** Ends the replica's process at once; false when it is down already. */
  end(number: number, how: End): boolean {
    const running = this.#running[number];
    if (running === undefined) return false;
    this.#running[number] = undefined;
    running.process.alive = false;
    this.network.died(running.process, how === "power");
    if (how === "power") this.disks[number]!.losePower();
    return true;
  }

  /** Drains and stops it as its supervisor would; a process that does not stop is killed. */
  stop(number: number, whenEnded: () => void): boolean {
    const running = this.#running[number];
    if (running?.opened === undefined || running.process.paused) return false;
    const { process, server, client, opened } = running;
    const ended = () => {
      if (this.#running[number] === running) this.end(number, "kill");
      whenEnded();
    };
    this.clock.inside(process, () => {
      client.stop();
      server
        .stop()
        .then(() => opened.stop())
        .then(ended, ended);
    });
    return true;
  }

  /** While it is down: its disk is emptied, and somebody permits to rebuild it. */
  permitRebuild(number: number): void {
    this.disks[number]!.lose();
    this.disks[number]!.texts.replace(`${DIR}/${REBUILD_FILE}`, "");
  }

  /** It has become a new member of the group, or never had to. */
  isWhole(number: number): boolean {
    return this.disks[number]!.texts.read(`${DIR}/${REBUILD_FILE}`) === undefined;
  }

  /** A client process; `turn` rotates which replica it prefers, as stale addresses would. */
  client(index: number, turn: number): { process: Process; kv: KvClient } {
    const process = new Process(`client ${index}`);
    const client = new Client({ process: `client ${index}`, campus: "" });
    const addresses = this.#addresses({ node: FIRST_CLIENT_NODE + index, process });
    const turned = addresses.map((_, i) => addresses[(i + turn) % addresses.length]!);
    const kv = new KvClient(client.calleeFrom("kvsvr", turned, { caller: "sim" }));
    return { process, kv };
  }

  nodes(clients: number): number[] {
    return [...REPLICAS, ...Array.from({ length: clients }, (_, i) => FIRST_CLIENT_NODE + i)];
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
