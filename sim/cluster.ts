/**
 * Three real replicas a KV group and any number of real clients, each a process of the simulated clock
 * on the simulated network; a replica's disk outlives its processes. Replicas are called by their nodes:
 * 0 to 2 are the first group's, 3 to 5 the second's.
 */

import { pino } from "pino";
import { BlockFollower } from "../services/control/follower.ts";
import { SlotsClient } from "../services/control/slots-client.ts";
import { groupService, KvClient } from "../services/kvsvr/client.ts";
import { configSchema } from "../services/kvsvr/config.ts";
import { BOOTSTRAP_FILE, REBUILD_FILE } from "../services/kvsvr/identity.ts";
import { type OpenReplica, openReplica } from "../services/kvsvr/open.ts";
import type { Replica } from "../services/kvsvr/replica.ts";
import type { Files } from "../services/kvsvr/storage/files.ts";
import { Beat } from "../services/svrkit/beat.ts";
import { type Callee, Client } from "../services/svrkit/client.ts";
import { Blocks } from "../services/svrkit/failover/blocks.ts";
import type { PeerAddress } from "../services/svrkit/failover/peer.ts";
import { Shards } from "../services/svrkit/failover/shards.ts";
import type { Logger } from "../services/svrkit/log.ts";
import { Random } from "../services/svrkit/seeded-random.ts";
import { Server } from "../services/svrkit/server.ts";
import type { TextFiles } from "../services/svrkit/text-files.ts";
import { type Clock, Process } from "./clock.ts";
import { Disk, type DiskOptions } from "./disk.ts";
import { Network, type NetworkOptions } from "./network.ts";

const CAMPUSES = ["a", "b", "c"] as const;
const REPLICAS_PER_GROUP = CAMPUSES.length;

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
  readonly groups: number;
  /** Tombstones are looked for so often, and forgotten when they are so old; undefined: never. */
  readonly forgetting?: { readonly everyMs: number; readonly windowMs: number };
}

/** How a replica ends: by a signal, with its host's power, or in order. */
type End = "kill" | "power";

export class Cluster {
  readonly clock: Clock;
  readonly network: Network;
  readonly disks: readonly Disk[];
  /** Every replica's node. */
  readonly replicas: readonly number[];
  readonly #options: ClusterOptions;
  readonly #running: (Running | undefined)[];
  readonly #log: Logger;
  /** What replicas logged as an error: why one refuses to serve. */
  readonly errors: string[] = [];
  /** Told of the floors that replicas keep, again and again. */
  onFloor: (floor: { first: number; last: number; version: number }) => void = () => {};
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
    const count = REPLICAS_PER_GROUP * options.groups;
    this.replicas = Array.from({ length: count }, (_, node) => node);
    this.#running = this.replicas.map(() => undefined);
    this.disks = this.replicas.map(
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
    const campus = campusOf(number);
    const identity = { process: `${campus}/${groupService(groupOf(number))}`, campus };
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
    const campus = campusOf(number);
    const disk = this.disks[number]!;
    const group = groupOf(number);
    const service = groupService(group);
    const calleeOf = (name: string) => {
      const local = name === service ? server : undefined;
      const addresses = this.#addresses({ node: number, process }, name);
      return client.calleeFrom(name, addresses, { caller: service, local });
    };
    const groups = this.#groupsFor(process, {
      campus,
      callee: calleeOf,
      files: disk.files(process).texts,
    });
    const opened = await openReplica({
      dir: DIR,
      number: number % REPLICAS_PER_GROUP,
      campus,
      config: configSchema.parse({
        checkpointMs: this.#options.checkpointMs,
        scrubEveryMs: 0,
        group,
        ...this.#forgetting(),
      }),
      callee: calleeOf(service),
      ...(groups !== undefined && { groups }),
      server,
      log: this.#log,
      files: this.#watched(disk.files(process)),
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

  #forgetting() {
    const { forgetting } = this.#options;
    if (forgetting === undefined) return { forgetEveryMs: 0 };
    const { everyMs, windowMs } = forgetting;
    return { forgetEveryMs: everyMs, forgetWindowMs: windowMs, forgetLeast: 1 };
  }

  /** Files that tell which floors slots get. */
  #watched(files: Files): Files {
    const { texts } = files;
    const replace = (path: string, text: string) => {
      texts.replace(path, text);
      const { floors = [], forgetting } = path.endsWith("slots.json") ? JSON.parse(text) : {};
      const next = forgetting && { ...forgetting.span, ...forgetting.floor };
      for (const floor of next === undefined ? floors : [...floors, next]) this.onFloor(floor);
    };
    return Object.assign(Object.create(files), {
      texts: Object.assign(Object.create(texts), { replace }),
    });
  }

  #addresses(from: { node: number; process: Process }, service: string): PeerAddress[] {
    const own = this.replicas.filter((node) => groupService(groupOf(node)) === service);
    return own.map((replica) => ({
      campus: campusOf(replica),
      label: `replica ${replica}`,
      dial: (timeoutMs) => this.network.dial(from, replica, timeoutMs),
    }));
  }

  /** What a process needs when there are several groups: it follows the map of their slots. */
  #groupsFor(
    process: Process,
    parts: { campus: string; callee: (service: string) => Callee; files: TextFiles },
  ) {
    if (this.#options.groups === 1) return undefined;
    const { campus, callee, files } = parts;
    const shards = new Shards();
    const follower = new BlockFollower({
      ...{ kvsvr: callee(groupService(1)), campus, blocks: new Blocks(), shards, files },
      ...{ path: `${DIR}/blocks.json`, log: this.#log, now: Date.now, beat: new Beat() },
    });
    this.clock.inside(process, () => follower.start());
    return { shards, callee };
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
    const calleeOf = (service: string) => {
      const addresses = this.#addresses({ node: FIRST_CLIENT_NODE + index, process }, service);
      const turned = addresses.map((_, i) => addresses[(i + turn) % addresses.length]!);
      return client.calleeFrom(service, turned, { caller: "sim" });
    };
    const parts = { campus: "", callee: calleeOf, files: textsInMemory() };
    const groups = this.#groupsFor(process, parts);
    if (groups === undefined) return { process, kv: new KvClient(calleeOf(groupService(1))) };
    return { process, kv: KvClient.of(groups) };
  }

  /** Who moves slots. */
  operator(index: number): { process: Process; slots: SlotsClient } {
    const process = new Process("operator");
    const client = new Client({ process: "operator", campus: "" });
    const addresses = this.#addresses(
      { node: FIRST_CLIENT_NODE + index, process },
      groupService(1),
    );
    const callee = client.calleeFrom(groupService(1), addresses, { caller: "sim" });
    return { process, slots: new SlotsClient(callee) };
  }

  nodes(clients: number): number[] {
    const others = Array.from({ length: clients }, (_, i) => FIRST_CLIENT_NODE + i);
    return [...this.replicas, ...others];
  }

  /** The other replicas of a replica's group. */
  mates(node: number): number[] {
    return this.replicas.filter((other) => other !== node && groupOf(other) === groupOf(node));
  }
}

function groupOf(node: number): number {
  return Math.floor(node / REPLICAS_PER_GROUP) + 1;
}

/** Of a replica within its group. */
export function numberOf(node: number): number {
  return node % REPLICAS_PER_GROUP;
}

function campusOf(node: number): string {
  return CAMPUSES[numberOf(node)]!;
}

/** A client keeps nothing when it ends. */
function textsInMemory(): TextFiles {
  const texts = new Map<string, string>();
  return {
    read: (path) => texts.get(path),
    replace: (path, text) => void texts.set(path, text),
    replaceSoon: async (path, text) => void texts.set(path, text),
    remove: (path) => void texts.delete(path),
  };
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
