/**
 * Three campuses of queue logs and queue services in one process, joined by in-memory wires. A campus
 * or a single log can be taken away and brought back; what a log had made durable stays in its files.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  AdmitLogRequest,
  IntroduceLogRequest,
} from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";
import type { DeadLetter } from "../../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { QueueLogConfig } from "../../queuelog/config.ts";
import { serveLog } from "../../queuelog/handlers.ts";
import { LOG_BOOTSTRAP_FILE } from "../../queuelog/identity.ts";
import { Membership, type MembershipOptions } from "../../queuelog/membership.ts";
import { openFolder } from "../../queuelog/open-folder.ts";
import { beginRebuild, Rebuild } from "../../queuelog/rebuild.ts";
import { EmbeddedLog } from "../../queuelog/storage/embedded.ts";
import type { LogEngine } from "../../queuelog/storage/engine.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { type Callee, Client } from "../../svrkit/client.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { Server } from "../../svrkit/server.ts";
import { memoryWirePair } from "../../svrkit/transport/memory.ts";
import type { Wire } from "../../svrkit/transport/wire.ts";
import { Adoption } from "../adoption.ts";
import { QueueClient, QueueReader } from "../client.ts";
import { QueueHandlers } from "../handlers.ts";
import { LogGroup } from "../log-group.ts";
import type { SegmentStore } from "../segment-store.ts";
import { type BacklogLimits, Streams } from "../streams.ts";
import { MemorySegmentStore } from "./memory-segment-store.ts";

export const CAMPUSES = ["a", "b", "c"] as const;
const GROUPS = [1, 2] as const;

export interface QueueClusterOptions extends Pick<MembershipOptions, "tellIntervalMs"> {
  /** What keeps the logs; files when left out. */
  readonly engine?: QueueLogConfig["engine"];
  readonly backlogs?: BacklogLimits;
}

/** A log that can be taken away while its process goes on. */
class SwitchedLog implements LogEngine {
  engine: LogEngine | undefined;
  met: Membership | undefined;
  closeFolder: () => Promise<void> = async () => {};

  get barred(): string | undefined {
    return this.met?.barred;
  }

  introduced(request: IntroduceLogRequest) {
    this.#there();
    return this.met!.introduced(request);
  }

  admit(request: AdmitLogRequest) {
    this.#there();
    return this.met!.admit(request);
  }

  #there(): LogEngine {
    if (this.engine === undefined) throw new RpcError("UNAVAILABLE", "this log is down");
    return this.engine;
  }

  async fence(...args: Parameters<LogEngine["fence"]>) {
    return this.#there().fence(...args);
  }

  async append(...args: Parameters<LogEngine["append"]>) {
    return this.#there().append(...args);
  }

  async read(...args: Parameters<LogEngine["read"]>) {
    return this.#there().read(...args);
  }

  trim(...args: Parameters<LogEngine["trim"]>) {
    this.engine?.trim(...args);
  }

  list() {
    return this.#there().list();
  }

  standings(...args: Parameters<LogEngine["standings"]>) {
    return this.#there().standings(...args);
  }

  async adopt(...args: Parameters<LogEngine["adopt"]>) {
    return this.#there().adopt(...args);
  }

  async close() {
    const { engine } = this;
    this.engine = undefined;
    await this.met?.stop();
    await engine?.close();
    await this.closeFolder();
  }
}

class Campus {
  readonly name: string;
  readonly server: Server;
  readonly client: Client;
  readonly logs = new Map<number, SwitchedLog>();
  readonly wires = new Set<Wire>();
  stop: () => void = () => {};
  streams: Streams | undefined;

  constructor(name: string) {
    this.name = name;
    const identity = { process: `${name}/queue`, campus: name };
    this.server = new Server(identity, silentLogger());
    this.client = new Client(identity);
  }
}

export class QueueCluster {
  readonly dir = mkdtempSync(join(tmpdir(), "queue-cluster-"));
  readonly store: SegmentStore = new MemorySegmentStore();
  readonly buried: DeadLetter[] = [];
  readonly #campuses = new Map<string, Campus>();
  readonly #outside = new Client({ process: "test", campus: "" });
  readonly #options: QueueClusterOptions;
  #incarnation = 0;

  private constructor(options: QueueClusterOptions) {
    this.#options = options;
  }

  static async start(options: QueueClusterOptions = {}): Promise<QueueCluster> {
    const cluster = new QueueCluster(options);
    for (const name of CAMPUSES) {
      for (const group of GROUPS) {
        mkdirSync(cluster.folder(name, group), { recursive: true });
        writeFileSync(join(cluster.folder(name, group), LOG_BOOTSTRAP_FILE), "");
      }
    }
    for (const name of CAMPUSES) await cluster.startCampus(name);
    return cluster;
  }

  isUp(name: string): boolean {
    return this.#campuses.has(name);
  }

  async startCampus(name: string): Promise<void> {
    const campus = new Campus(name);
    for (const group of GROUPS) {
      const log = new SwitchedLog();
      campus.logs.set(group, log);
      serveLog(campus.server, group, { engine: log, membership: log });
    }
    this.#campuses.set(name, campus);
    for (const group of GROUPS) await this.#openLog(campus, group);
    this.#startQueue(campus);
  }

  #startQueue(campus: Campus): void {
    const groups = new Map(
      GROUPS.map((group) => [group, new LogGroup(group, this.#callee(campus, `log-${group}`))]),
    );
    this.#incarnation += 1;
    let openings = 0;
    const parts = {
      groups,
      store: this.store,
      process: `${campus.name}.${this.#incarnation}`,
      nextOpening: () => {
        openings += 1;
        return openings;
      },
    };
    const streams = new Streams(parts, this.#options.backlogs);
    const log = silentLogger();
    const own = (CAMPUSES as readonly string[]).indexOf(campus.name);
    const queues = this.#callee(campus, "queue");
    const deadLetters = {
      bury: async (letters: readonly DeadLetter[]) => void this.buried.push(...letters),
      page: async () => ({ letters: [...this.buried], more: false }),
      remove: async () => void this.buried.splice(0),
    };
    new QueueHandlers({ streams, queues, own, deadLetters, log }).register(campus.server);
    const adoption = new Adoption({ groups, queues, own, log });
    adoption.start();
    campus.streams = streams;
    campus.stop = () => {
      adoption.stop();
      streams.stop();
      campus.client.stop();
    };
  }

  /** As kill -9 leaves it: connections end, memory is gone. */
  async stopCampus(name: string): Promise<void> {
    const campus = this.#campuses.get(name)!;
    this.#campuses.delete(name);
    for (const wire of campus.wires) wire.close();
    campus.stop();
    for (const log of campus.logs.values()) await log.close();
  }

  async stopLog(name: string, group: number): Promise<void> {
    await this.#campuses.get(name)?.logs.get(group)?.close();
  }

  async startLog(name: string, group: number): Promise<void> {
    const campus = this.#campuses.get(name);
    if (campus !== undefined) await this.#openLog(campus, group);
  }

  /** Streams with untrimmed entries in a campus's logs. */
  untrimmed(name: string): string[] {
    const logs = [...(this.#campuses.get(name)?.logs.values() ?? [])];
    return logs.flatMap((log) => log.list().map(({ stream }) => stream));
  }

  /** The folder of a log's disk. */
  folder(name: string, group: number): string {
    return join(this.dir, name, String(group));
  }

  /** Why a log does not vote; undefined when it does. */
  barred(name: string, group: number): string | undefined {
    return this.#campuses.get(name)?.logs.get(group)?.barred;
  }

  async #openLog(campus: Campus, group: number): Promise<void> {
    const log = campus.logs.get(group)!;
    if (log.engine !== undefined) return;
    const dir = this.folder(campus.name, group);
    const diskId = await beginRebuild(dir);
    const { engine: kind = { kind: "embedded" }, ...membership } = this.#options;
    const place = { dc: 1, campus: campus.name, dataDir: dir, log: silentLogger() };
    const opened = await openFolder(place, { engine: kind, group });
    const engine = await EmbeddedLog.open({
      folder: opened.folder,
      lost: opened.lost,
      segmentBytes: 1024 * 1024,
      cacheBytesMax: 256 * 1024,
      nowMs: monotonicMs,
      fatal: (error) => {
        throw error;
      },
    });
    log.engine = engine;
    log.closeFolder = opened.close;
    const parts = {
      ...{ group, campus: campus.name, log: silentLogger() },
      logs: this.#callee(campus, `log-${group}`),
      others: CAMPUSES.flatMap((name, index) => (name === campus.name ? [] : [index])),
    };
    log.met = await Membership.open(dir, {
      ...parts,
      ...membership,
      rebuild: diskId === undefined ? undefined : new Rebuild({ ...parts, dir, diskId, engine }),
      durable: () => engine.durable,
      onBarred: () => {},
    });
    log.met.start();
  }

  #callee(from: Campus, service: string): Callee {
    return from.client.calleeFrom(service, this.#addresses(from), {
      caller: service,
      local: from.server,
    });
  }

  #addresses(from: Campus | undefined) {
    return CAMPUSES.map((name) => ({
      campus: name,
      label: `campus ${name}`,
      dial: async () => {
        const to = this.#campuses.get(name);
        if (to === undefined) throw new Error("connection refused");
        const [near, far] = memoryWirePair();
        to.server.accept(far);
        for (const end of [to, from]) end?.wires.add(near);
        return near;
      },
    }));
  }

  /** One log, as whoever calls it directly. */
  log(name: string, group: number): LogEngine {
    return this.#campuses.get(name)!.logs.get(group)!;
  }

  /** A client in no campus. */
  clientOutside(): QueueClient {
    const addresses = this.#addresses(undefined);
    return new QueueClient(this.#outside.calleeFrom("queue", addresses, { caller: "test" }));
  }

  calleeIn(name: string): Callee {
    return this.#callee(this.#campuses.get(name)!, "queue");
  }

  reader(name: string): QueueReader {
    return new QueueReader(this.calleeIn(name), name);
  }

  async stop(): Promise<void> {
    for (const name of [...this.#campuses.keys()]) await this.stopCampus(name);
    this.#outside.stop();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
