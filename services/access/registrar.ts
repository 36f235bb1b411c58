/**
 * Tells the routers of all campuses who is connected here. Each router is told on its own, one call
 * at a time, so that a dead one delays nobody: changes gathered over BATCH_MS, everything anew every
 * COMPLETE_EVERY_MS and whenever a router missed something.
 */
import {
  type Connection,
  type RegisterConnectionsRequest,
  Router,
} from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import type { Callee } from "../svrkit/client.ts";
import { FRAME_BYTES_MAX } from "../svrkit/limits.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";

const BATCH_MS = 20;
const COMPLETE_EVERY_MS = 10_000;
const CALL_TIMEOUT_MS = 500;
/** A router that keeps them in Redis took 64 us for each, on a busy machine. */
const CALL_TIMEOUT_PER_CONNECTION_MS = 0.1;
/** People who connect wait so long for a router that is being told. */
const WAITED_FOR_MS = 500;
/** Pause before a router that failed is tried again. */
const RETRY_MS = 500;
/** Connections that wait for one router to hear of them late; the others have their fallback syncs. */
const LATE_MAX = 500;
/** Changes that wait for one router; beyond, it is told everything instead. */
const CHANGES_MAX = 10_000;

/** Of one report, so that a frame has room for it ... */
const REPORT_BYTES_MAX = FRAME_BYTES_MAX * 0.75;
/** ... by the most that a connection takes: its number, lengths, and so much for a character. */
const CONNECTION_BYTES = 24;
const CHARACTER_BYTES_MAX = 3;

const failures = monitorId("access.router_failures");

type Tell = (report: RegisterConnectionsRequest) => Promise<unknown>;

/** What one router has not been told yet. */
class RouterLink {
  readonly #tell: Tell;
  readonly #complete: () => Connection[];
  #online = new Map<number, Connection>();
  #offline = new Set<number>();
  #waiting: (() => void)[] = [];
  /** Those that were let go before this router knew them. */
  #late: (() => void)[] = [];
  #completeDue = true;
  #busy = false;
  /** The last call failed, or takes long: nobody waits for this router until it answers again. */
  #failing = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(tell: Tell, complete: () => Connection[]) {
    this.#tell = tell;
    this.#complete = complete;
  }

  /**
   * `told` is called when the router knows, or when it turned out that it cannot be told; after the latter
   * once more when it knows at last.
   */
  online(connection: Connection, told: () => void): void {
    this.#online.set(connection.number, connection);
    if (this.#failing) this.#letGo([told]);
    else this.#waiting.push(told);
    this.#changed();
  }

  offline(number: number): void {
    this.#online.delete(number);
    this.#offline.add(number);
    this.#changed();
  }

  tellAll(): void {
    this.#completeDue = true;
    this.#schedule(BATCH_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #letGo(waiting: (() => void)[]): void {
    this.#late.push(...waiting.slice(0, Math.max(0, LATE_MAX - this.#late.length)));
    for (const one of waiting.splice(0)) one();
  }

  #changed(): void {
    if (this.#online.size + this.#offline.size > CHANGES_MAX) {
      this.#online.clear();
      this.#offline.clear();
      this.#completeDue = true;
    }
    this.#schedule(BATCH_MS);
  }

  #schedule(afterMs: number): void {
    if (this.#busy || this.#stopped) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#flush();
    }, afterMs);
  }

  async #tellEach(reports: readonly RegisterConnectionsRequest[]): Promise<void> {
    for (const report of reports) await this.#tell(report);
  }

  async #flush(): Promise<void> {
    this.#busy = true;
    const complete = this.#completeDue;
    const online = complete ? this.#complete() : [...this.#online.values()];
    const reports = reportsOf(online, [...this.#offline], complete);
    const waiting = this.#waiting;
    const late = this.#late;
    this.#online = new Map();
    this.#offline = new Set();
    this.#waiting = [];
    this.#late = [];
    this.#completeDue = false;
    const impatient = setTimeout(() => {
      this.#failing = true;
      late.push(...waiting.slice(0, LATE_MAX));
      for (const one of waiting.splice(0)) one();
      this.#letGo(this.#waiting);
    }, WAITED_FOR_MS);
    const failed = await this.#tellEach(reports).then(
      () => false,
      () => true,
    );
    clearTimeout(impatient);
    this.#busy = false;
    this.#failing = failed;
    if (failed) {
      monitor.add(failures, 1);
      this.#completeDue = true;
      this.#late = [...late, ...this.#late].slice(0, LATE_MAX);
      this.#letGo(waiting);
      this.#letGo(this.#waiting);
      this.#schedule(RETRY_MS);
      return;
    }
    for (const one of [...waiting, ...late]) one();
    if (this.#online.size + this.#offline.size > 0 || this.#completeDue) {
      this.#schedule(BATCH_MS);
    }
  }
}

/**
 * What is said, in parts when it has no room in one frame. Such a part cannot be the whole truth: the routers then
 * learn of an end that they were not told of when the connection expires there.
 */
function reportsOf(
  online: readonly Connection[],
  offline: number[],
  complete: boolean,
): RegisterConnectionsRequest[] {
  const parts: Connection[][] = [[]];
  let bytes = 0;
  for (const connection of online) {
    const { userId, device } = connection;
    bytes += CONNECTION_BYTES + CHARACTER_BYTES_MAX * (userId.length + device.length);
    if (bytes > REPORT_BYTES_MAX) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(connection);
  }
  return parts.map((part, i) => ({
    ...{ access: "", campus: "", online: part, offline: i === 0 ? offline : [] },
    complete: complete && parts.length === 1,
  }));
}

/** Given up too early, a complete report would be sent anew and never be taken over. */
function timeoutOf({ online }: RegisterConnectionsRequest): number {
  return CALL_TIMEOUT_MS + Math.ceil(online.length * CALL_TIMEOUT_PER_CONNECTION_MS);
}

export class Registrar {
  readonly #routers: readonly RouterLink[];
  readonly #every: NodeJS.Timeout;

  /** `access`: "a/access#3". `complete`: everybody who is connected, now. */
  constructor(options: {
    router: Callee;
    access: string;
    campus: string;
    complete: () => Connection[];
  }) {
    const { router, access, campus, complete } = options;
    this.#routers = router.peers.map((_, index) => {
      return new RouterLink((report) => {
        const call = { order: [index], timeoutMs: timeoutOf(report) };
        return router.call(Router.register, { ...report, access, campus }, call);
      }, complete);
    });
    // At once: it drops what an earlier start of this process said.
    for (const link of this.#routers) link.tellAll();
    this.#every = setInterval(() => {
      for (const link of this.#routers) link.tellAll();
    }, COMPLETE_EVERY_MS);
    this.#every.unref();
  }

  /**
   * `known` is called when every router that answers knows the connection, and again when one learns of it
   * later: who asked that one meanwhile did not find it.
   */
  online(connection: Connection, known: () => void): void {
    let left = this.#routers.length;
    const told = () => {
      left -= 1;
      if (left <= 0) known();
    };
    for (const link of this.#routers) link.online(connection, told);
  }

  offline(number: number): void {
    for (const link of this.#routers) link.offline(number);
  }

  stop(): void {
    clearInterval(this.#every);
    for (const link of this.#routers) link.stop();
  }
}
