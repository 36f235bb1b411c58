/**
 * Three campuses, each one process of the simulated clock that holds every service messages pass
 * through: store, queue logs, queue, router, data, text, group, sync, fan-out, access. All real code;
 * disks, wires and time are simulated. What a campus had on its disks outlives its process.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Push } from "../../protos/gen/tricampus/access/v1/push_codec.ts";
import type { Endpoint } from "../../sdk/endpoints.ts";
import { Connections } from "../../services/access/connections.ts";
import { Forgeries } from "../../services/access/forgeries.ts";
import { Forwarder } from "../../services/access/forwarder.ts";
import { PushHandlers } from "../../services/access/handlers.ts";
import { Registrar } from "../../services/access/registrar.ts";
import { sessionMethods } from "../../services/access/session.ts";
import { start as startAccountData } from "../../services/data/account/main.ts";
import { start as startContactData } from "../../services/data/contact/main.ts";
import { start as startGroupData } from "../../services/data/group/main.ts";
import { start as startInboxData } from "../../services/data/inbox/main.ts";
import { start as startMessageData } from "../../services/data/message/main.ts";
import { configSchema } from "../../services/kvsvr/config.ts";
import { BOOTSTRAP_FILE } from "../../services/kvsvr/identity.ts";
import { openReplica } from "../../services/kvsvr/open.ts";
import { start as startContact } from "../../services/logic/contact/main.ts";
import { start as startFanout } from "../../services/logic/fanout/main.ts";
import { start as startGroup } from "../../services/logic/group/main.ts";
import { start as startSync } from "../../services/logic/sync/main.ts";
import { start as startText } from "../../services/logic/text/main.ts";
import { start as startQueue } from "../../services/queue/main.ts";
import { serveLog } from "../../services/queuelog/handlers.ts";
import { EmbeddedLog } from "../../services/queuelog/storage/embedded.ts";
import type { LogEngine } from "../../services/queuelog/storage/engine.ts";
import { start as startRouter } from "../../services/router/main.ts";
import { TokenBuckets } from "../../services/svrkit/admission/token-buckets.ts";
import { monotonicMs } from "../../services/svrkit/call.ts";
import { type Callee, Client } from "../../services/svrkit/client.ts";
import type { ServiceContext, StartService } from "../../services/svrkit/context.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import { Blocks } from "../../services/svrkit/failover/blocks.ts";
import type { PeerAddress } from "../../services/svrkit/failover/peer.ts";
import { Shards } from "../../services/svrkit/failover/shards.ts";
import { raiseIncarnation } from "../../services/svrkit/ids.ts";
import { Lifecycle } from "../../services/svrkit/lifecycle.ts";
import { silentLogger } from "../../services/svrkit/log.ts";
import { Random } from "../../services/svrkit/seeded-random.ts";
import { Server } from "../../services/svrkit/server.ts";
import { newTicketKeys, TicketSigner } from "../../services/svrkit/ticket/sign.ts";
import { SnapshotSealer } from "../../services/svrkit/ticket/snapshot.ts";
import { TicketVerifier } from "../../services/svrkit/ticket/verify.ts";
import { Sampler } from "../../services/svrkit/tracing/sampler.ts";
import { type Clock, Process } from "../clock.ts";
import { Disk, type DiskOptions } from "../disk.ts";
import { Network, type NetworkOptions } from "../network.ts";
import { acceptOn } from "./door.ts";
import { folderOn } from "./queue-folder.ts";

export const CAMPUSES = ["a", "b", "c"] as const;
const QUEUE_GROUPS = [1, 2] as const;
/** Node numbers: services at 0-2, clients' doors at 10-12, clients above. */
const DOOR_NODE = 10;
export const FIRST_DEVICE_NODE = 20;
const DC = 7;
const RESTART_MS = 50;
const KEYS = newTicketKeys();
const SIGNER = new TicketSigner("k1", KEYS.privateKey);
const YEAR_MS = 365 * 24 * 3_600_000;

/** In the order in which a process starts them. */
const SERVICES: readonly (readonly [string, StartService, object?])[] = [
  ["queue", startQueue],
  ["router", startRouter],
  ["account-data", startAccountData],
  ["inbox-data", startInboxData],
  ["message-data", startMessageData],
  ["group-data", startGroupData],
  ["contact-data", startContactData],
  ["contact", startContact],
  ["text", startText, { sweepAfterMs: 2_000 }],
  ["group", startGroup],
  ["sync", startSync, { confirmEveryMs: 400 }],
  ["fanout", startFanout],
];

export interface CampusesOptions {
  readonly network: NetworkOptions;
  readonly disk: DiskOptions;
}

interface Campus {
  readonly storeDisk: Disk;
  readonly queueDisks: readonly Disk[];
  /** Queue groups whose log answers nothing here. */
  readonly queueDown: Set<number>;
  process: Process | undefined;
}

export class Campuses {
  readonly clock: Clock;
  readonly network: Network;
  readonly endpoints: readonly Endpoint[];
  readonly #campuses: readonly Campus[];
  readonly #root: string;
  readonly #tickets = new TicketVerifier({ k1: KEYS.publicKey });
  readonly #snapshots = new SnapshotSealer(Buffer.alloc(32, 1));
  /** Told when a campus cannot start, or stops because a promise is at risk. */
  onFatal: (campus: number, error: Error) => void = () => {};

  constructor(clock: Clock, seed: number, { network, disk }: CampusesOptions) {
    this.clock = clock;
    this.network = new Network(clock, new Random(seed, "network"), network);
    const diskNamed = (name: string) => new Disk(clock, new Random(seed, name), disk);
    this.#campuses = CAMPUSES.map((campus) => ({
      storeDisk: diskNamed(`store ${campus}`),
      queueDisks: QUEUE_GROUPS.map((group) => diskNamed(`queue ${campus} ${group}`)),
      queueDown: new Set<number>(),
      process: undefined,
    }));
    for (const { storeDisk } of this.#campuses)
      storeDisk.texts.replace(`disk/${BOOTSTRAP_FILE}`, "");
    this.endpoints = CAMPUSES.map((campus, i) => ({ campus, url: `sim://${DOOR_NODE + i}` }));
    // Incarnations alone lie here, of this run; they are read and written at once.
    this.#root = mkdtempSync(join(tmpdir(), "tricampus-sim-"));
  }

  ticket(userId: string, device: string): { ticket: Buffer; expiresAtMs: number } {
    const issuedAtMs = Date.now();
    const expiresAtMs = issuedAtMs + YEAR_MS;
    const ticket = SIGNER.sign({ userId, device, issuedAtMs, expiresAtMs });
    return { ticket, expiresAtMs };
  }

  process(index: number): Process | undefined {
    return this.#campuses[index]!.process;
  }

  /** A log of one queue group stops answering, or answers again. */
  setQueueLog(index: number, group: number, isUp: boolean): void {
    const { queueDown } = this.#campuses[index]!;
    if (isUp) queueDown.delete(group);
    else queueDown.add(group);
  }

  start(index: number): void {
    const campus = this.#campuses[index]!;
    if (campus.process !== undefined) return;
    const process = new Process(`campus ${CAMPUSES[index]}`);
    campus.process = process;
    this.clock.inside(process, () => {
      this.#open(index, process).catch((error: unknown) =>
        this.onFatal(index, error instanceof Error ? error : new Error(String(error))),
      );
    });
  }

  /** False when it is down already. */
  end(index: number, how: "kill" | "power"): boolean {
    const campus = this.#campuses[index]!;
    const { process } = campus;
    if (process === undefined) return false;
    campus.process = undefined;
    process.alive = false;
    this.network.died(process, how === "power");
    if (how === "power")
      for (const disk of [campus.storeDisk, ...campus.queueDisks]) disk.losePower();
    return true;
  }

  /** Both nodes of a campus: its services', and its door's. */
  nodesOf(index: number): readonly number[] {
    return [index, DOOR_NODE + index];
  }

  close(): void {
    rmSync(this.#root, { recursive: true, force: true });
  }

  /** A service as seen from outside, for who passes over tables. */
  callee(service: string, caller: string): Callee {
    const client = new Client({ process: "test", campus: "" });
    const addresses = this.#addresses({ node: FIRST_DEVICE_NODE - 1, process: this.clock.outside });
    return client.calleeFrom(service, addresses, { caller });
  }

  async #open(index: number, process: Process): Promise<void> {
    const name = CAMPUSES[index]!;
    const identity = { process: `${name}/all`, campus: name };
    const log = silentLogger();
    const server = new Server(identity, log);
    const client = new Client(identity);
    const addresses = this.#addresses({ node: index, process });
    const contextOf = (service: string, options: object): ServiceContext => {
      const dataDir = join(this.#root, name, service);
      mkdirSync(dataDir, { recursive: true });
      return {
        ...{ service, campus: name, campuses: CAMPUSES, dc: DC, dataDir, server, log, options },
        ...{ process: identity.process, lifecycle: new Lifecycle(log) },
        ...{ tickets: this.#tickets, snapshots: this.#snapshots },
        ...{ blocks: new Blocks(), shards: new Shards() },
        callee: (other) => client.calleeFrom(other, addresses, { caller: service, local: server }),
      };
    };
    await this.#openStore(index, process, contextOf("kvsvr", {}));
    for (const group of QUEUE_GROUPS) await this.#openQueueLog(index, process, { group, server });
    for (const [service, start, options = {}] of SERVICES) await start(contextOf(service, options));
    const accept = this.#openAccess(contextOf("access", {}));
    if (!process.alive) return;
    this.network.listen(index, process, server);
    this.network.listen(DOOR_NODE + index, process, { accept });
  }

  async #openStore(index: number, process: Process, context: ServiceContext): Promise<void> {
    const { storeDisk } = this.#campuses[index]!;
    await openReplica({
      ...{ dir: "disk", number: index, campus: context.campus },
      config: configSchema.parse({ checkpointMs: 5_000, group: 1 }),
      callee: context.callee("kvsvr"),
      ...{ server: context.server, log: context.log, files: storeDisk.files(process) },
      engine: () => storeDisk.engine.openBy(process, this.clock, () => storeDisk.commitMs()),
      fatal: (error) => this.#died(index, error),
      restart: () => this.#restart(index),
    });
  }

  async #openQueueLog(
    index: number,
    process: Process,
    { group, server }: { group: number; server: Server },
  ): Promise<void> {
    const { queueDisks, queueDown } = this.#campuses[index]!;
    const engine = await EmbeddedLog.open({
      folder: folderOn(queueDisks[group - 1]!.files(process)),
      ...{ segmentBytes: 1024 * 1024, cacheBytesMax: 256 * 1024, nowMs: monotonicMs },
      fatal: (error) => this.#died(index, error instanceof Error ? error : new Error(`${error}`)),
    });
    // Disks are never lost here, so the logs of a group need not find out who has lost one.
    const membership = { barred: undefined, introduced: unasked, admit: unasked };
    serveLog(server, group, { engine: whileUp(engine, () => !queueDown.has(group)), membership });
  }

  #openAccess(context: ServiceContext) {
    const callee = (service: string) => context.callee(service);
    const forwarder = new Forwarder({
      ...{ callee, tickets: context.tickets, server: context.server },
      ...{ now: monotonicMs, arrived: monotonicMs },
      rates: new TokenBuckets({ perSecond: 200, burst: 1_000 }),
      sampler: new Sampler(0),
      log: context.log,
      own: sessionMethods({ callee, endpoints: [...this.endpoints], isClosed: () => false }),
    });
    const registrar: Registrar = new Registrar({
      ...{ router: context.callee("router"), campus: context.campus },
      access: `${context.process}#${raiseIncarnation(context.dataDir)}`,
      complete: () => connections.registered(),
    });
    const { tickets, snapshots } = context;
    const connections = new Connections({
      ...{ max: 1_000, userMax: 32, attachTimeoutMs: 10_000, pingEveryMs: 25_000, registrar },
      parts: {
        ...{ forwarder, tickets, snapshots, now: monotonicMs },
        forgeries: new Forgeries(monotonicMs),
      },
    });
    const handlers = new PushHandlers(connections);
    context.server.add(Push.push, (request, call) => handlers.push(request, call));
    return acceptOn(connections);
  }

  #addresses(from: { node: number; process: Process }): PeerAddress[] {
    return CAMPUSES.map((campus, to) => ({
      ...{ campus, label: `campus ${campus}` },
      dial: (timeoutMs) => this.network.dial(from, to, timeoutMs),
    }));
  }

  #died(index: number, error: Error): never {
    this.onFatal(index, error);
    throw error;
  }

  #restart(index: number): void {
    this.end(index, "kill");
    this.clock.after(this.clock.outside, RESTART_MS, () => this.start(index));
  }
}

function unasked(): never {
  throw new RpcError("UNIMPLEMENTED", "no log introduces itself here");
}

/** The log, or nobody's answer. */
function whileUp(engine: LogEngine, isUp: () => boolean): LogEngine {
  return new Proxy(engine, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (!isUp()) throw new RpcError("UNAVAILABLE", "this log is down");
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
}
