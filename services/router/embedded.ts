/**
 * The embedded engine: two maps, by access process and by user.
 *
 * An access process names itself with the number of its start ("a/access#3"). A report of a later
 * start drops everything an earlier one said, so a crashed access process leaves no stale entries
 * for 30 s; a late report of an earlier start is ignored.
 */
import type {
  Connection,
  CountReply,
  Location,
  RegisterConnectionsRequest,
} from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import { EXPIRY_MS, fullRouter, parseAccess, type RouterEngine } from "./engine.ts";

const SWEEP_EVERY_MS = 5_000;

interface Entry {
  readonly location: Location;
  saidAtMs: number;
}

interface AccessProcess {
  readonly start: number;
  readonly connections: Map<number, Entry>;
}

export class EmbeddedRouter implements RouterEngine {
  readonly #connectionsMax: number;
  /** By performance.now(). */
  readonly #completeFromMs: number;
  readonly #processes = new Map<string, AccessProcess>();
  readonly #byUser = new Map<string, Set<Entry>>();
  #connections = 0;
  #sweptAtMs = 0;

  constructor(options: { connectionsMax: number; incompleteMs: number }) {
    this.#connectionsMax = options.connectionsMax;
    this.#completeFromMs = performance.now() + options.incompleteMs;
  }

  get isIncomplete(): boolean {
    return performance.now() < this.#completeFromMs;
  }

  register(report: RegisterConnectionsRequest, nowMs: number): void {
    this.#sweep(nowMs);
    const process = this.#process(report.access);
    if (process === undefined) return;
    for (const number of report.offline) this.#remove(process, number);
    for (const connection of report.online) this.#say(process, report, connection, nowMs);
    if (report.complete) this.#forgetUnsaid(process, report.online);
  }

  lookup(userIds: readonly string[], nowMs: number): Location[] {
    const found: Location[] = [];
    for (const userId of userIds) {
      for (const entry of this.#byUser.get(userId) ?? []) {
        if (entry.saidAtMs + EXPIRY_MS > nowMs) found.push(entry.location);
      }
    }
    return found;
  }

  count(nowMs: number): CountReply {
    this.#sweptAtMs = 0;
    this.#sweep(nowMs);
    return { users: this.#byUser.size, connections: this.#connections };
  }

  /** The access process that reports; undefined when a later start of it has reported already. */
  #process(access: string): AccessProcess | undefined {
    const { name, start } = parseAccess(access);
    const known = this.#processes.get(name);
    if (known?.start === start) return known;
    if (known !== undefined && known.start > start) return undefined;
    if (known !== undefined)
      for (const number of known.connections.keys()) this.#remove(known, number);
    const process = { start, connections: new Map() };
    this.#processes.set(name, process);
    return process;
  }

  #say(
    process: AccessProcess,
    report: RegisterConnectionsRequest,
    connection: Connection,
    nowMs: number,
  ): void {
    const { number, userId, device } = connection;
    const known = process.connections.get(number);
    if (known !== undefined) {
      known.saidAtMs = nowMs;
      return;
    }
    if (this.#connections >= this.#connectionsMax) {
      throw fullRouter(this.#connectionsMax);
    }
    const { access, campus } = report;
    const entry = { location: { userId, device, access, campus, number }, saidAtMs: nowMs };
    process.connections.set(number, entry);
    this.#connections += 1;
    const others = this.#byUser.get(userId);
    if (others === undefined) this.#byUser.set(userId, new Set([entry]));
    else others.add(entry);
  }

  #remove(process: AccessProcess, number: number): void {
    const entry = process.connections.get(number);
    if (entry === undefined) return;
    process.connections.delete(number);
    this.#connections -= 1;
    const { userId } = entry.location;
    const others = this.#byUser.get(userId);
    others?.delete(entry);
    if (others?.size === 0) this.#byUser.delete(userId);
  }

  #forgetUnsaid(process: AccessProcess, online: readonly Connection[]): void {
    const said = new Set(online.map((connection) => connection.number));
    for (const number of process.connections.keys())
      if (!said.has(number)) this.#remove(process, number);
  }

  #sweep(nowMs: number): void {
    if (nowMs - this.#sweptAtMs < SWEEP_EVERY_MS) return;
    this.#sweptAtMs = nowMs;
    for (const process of this.#processes.values()) {
      for (const [number, entry] of process.connections) {
        if (entry.saidAtMs + EXPIRY_MS <= nowMs) this.#remove(process, number);
      }
    }
  }
}
