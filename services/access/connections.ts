/**
 * All long connections of this process: numbers, the limit, and the two timers they share (silence
 * and late Attach once a second; held pushes while there are any).
 */
import type { Connection } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { rest } from "../svrkit/rest.ts";
import { border } from "../svrkit/transport/border.ts";
import type { Carrier } from "./carrier.ts";
import { ClientConnection, type ConnectionParts } from "./connection.ts";
import {
  FINISH_MS,
  HINT_HOLD_MS,
  PINGS_UNANSWERED_MAX,
  UNATTACHED_ADDRESS_SHARE,
  UNATTACHED_GRACE_MS,
  UNATTACHED_MIN,
  UNATTACHED_SHARE,
  WATCH_EVERY_MS,
} from "./limits.ts";
import type { Registrar } from "./registrar.ts";
import { Strangers } from "./strangers.ts";

const opened = monitorId("access.connections_opened");
const ended = monitorId("access.connections_ended");
const silent = monitorId("access.connections_silent");

export interface ConnectionsOptions {
  readonly max: number;
  /** Of one user. */
  readonly userMax: number;
  readonly attachTimeoutMs: number;
  readonly pingEveryMs: number;
  readonly registrar: Registrar;
  readonly parts: SharedParts;
}

interface Leaving {
  readonly reason: string;
  readonly overMs: number;
}

type SharedParts = Pick<
  ConnectionParts,
  "forwarder" | "tickets" | "forgeries" | "snapshots" | "now"
>;

export class Connections {
  readonly #max: number;
  readonly #userMax: number;
  readonly #attachTimeoutMs: number;
  readonly #pingEveryMs: number;
  readonly #parts: ConnectionParts;
  readonly #all = new Map<number, ClientConnection>();
  readonly #strangers: Strangers<ClientConnection>;
  #attached = 0;
  readonly #byUser = new Map<string, ClientConnection[]>();
  readonly #waiting = new Set<ClientConnection>();
  readonly #watch: NodeJS.Timeout;
  #holdTimer: NodeJS.Timeout | undefined;
  #nextNumber = 1;
  #draining = false;
  /** Clients are being sent away; another object for every time. */
  #leaving: Leaving | undefined;

  constructor(options: ConnectionsOptions) {
    this.#max = options.max;
    this.#userMax = options.userMax;
    this.#strangers = new Strangers({
      max: Math.max(UNATTACHED_MIN, options.max * UNATTACHED_SHARE),
      addressMax: Math.max(UNATTACHED_MIN, options.max * UNATTACHED_ADDRESS_SHARE),
      graceMs: UNATTACHED_GRACE_MS,
    });
    const { attachTimeoutMs, pingEveryMs } = options;
    this.#attachTimeoutMs = attachTimeoutMs;
    this.#pingEveryMs = pingEveryMs;
    const { registrar } = options;
    this.#parts = {
      ...options.parts,
      bind: (connection, userId) => this.#bind(connection, userId),
      attached: (connection) =>
        registrar.online(asRegistered(connection), () => connection.online()),
      waiting: (connection) => this.#hold(connection),
      closed: (connection) => {
        monitor.add(ended, 1);
        this.#all.delete(connection.number);
        this.#waiting.delete(connection);
        if (connection.who === undefined) this.#strangers.delete(connection);
        else this.#unbind(connection, connection.who.userId);
        if (connection.wantsPush) registrar.offline(connection.number);
      },
    };
    const watchEveryMs = Math.min(WATCH_EVERY_MS, attachTimeoutMs / 2, pingEveryMs / 2);
    this.#watch = setInterval(() => this.#look(), watchEveryMs);
    this.#watch.unref();
  }

  /** Some tickets of a user are not good any more: who is connected on one has to log in again. */
  revoked(userId: string): void {
    for (const connection of this.#byUser.get(userId) ?? []) connection.requireGoodTicket();
  }

  get size(): number {
    return this.#all.size;
  }

  /** False: the limit is reached, also of those from that address, or this process is stopping. */
  hasRoom(from: string): boolean {
    return !this.#draining && this.#strangers.takes(from, this.#roomLeft, this.#parts.now());
  }

  /** Of places that nobody has who has attached. */
  get #roomLeft(): number {
    return this.#max - this.#attached;
  }

  /** `from`: the client's address, client-address.ts. */
  add(carrier: Carrier, from: string): ClientConnection {
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    monitor.add(opened, 1);
    const connection = new ClientConnection(number, { carrier, from }, this.#parts);
    this.#all.set(number, connection);
    this.#strangers.add(connection, from, this.#roomLeft)?.terminate();
    // Let in before it was decided that nobody is.
    if (this.#leaving !== undefined) void this.#dismiss(connection, this.#leaving);
    return connection;
  }

  /** The connection, if it is this user's: numbers start again with the process. */
  find(number: number, userId: string): ClientConnection | undefined {
    const connection = this.#all.get(number);
    return connection?.who?.userId === userId ? connection : undefined;
  }

  /** What the routers are to know, completely. */
  registered(): Connection[] {
    return [...this.#all.values()].filter((connection) => connection.wantsPush).map(asRegistered);
  }

  /**
   * Tells all clients to go elsewhere, spread over `overMs`, each when its open requests are answered.
   * Whoever has not gone a moment later is closed.
   */
  sendAway(reason: string, overMs: number): void {
    const leaving = { reason, overMs };
    this.#leaving = leaving;
    for (const connection of this.#all.values()) void this.#dismiss(connection, leaving);
  }

  /** Whoever has not been told to go may stay. */
  stay(): void {
    this.#leaving = undefined;
  }

  async #dismiss(connection: ClientConnection, leaving: Leaving): Promise<void> {
    await rest(Math.random() * leaving.overMs);
    if (this.#leaving !== leaving || !this.#isOpen(connection)) return;
    await this.#finish(connection);
    connection.leave(leaving.reason);
    const giveUpMs = this.#parts.now() + FINISH_MS;
    while (this.#isOpen(connection) && this.#parts.now() < giveUpMs) await rest(50);
    connection.close(1001, "this campus takes no clients now");
  }

  #isOpen(connection: ClientConnection): boolean {
    return this.#all.has(connection.number);
  }

  /** Waits until its open requests are answered, a moment at most. */
  async #finish(connection: ClientConnection): Promise<void> {
    const giveUpMs = this.#parts.now() + FINISH_MS;
    while (connection.inFlight > 0 && this.#parts.now() < giveUpMs) await rest(10);
  }

  /** Sends all clients away, spread over `leaveOverMs`, then closes what is left. */
  async drain(leaveOverMs: number): Promise<void> {
    this.#draining = true;
    this.stay();
    const all = [...this.#all.values()];
    const sendAway = async (connection: ClientConnection) => {
      await rest(Math.random() * leaveOverMs);
      connection.leave("this process stops");
      await this.#finish(connection);
      connection.close(1001, "this process stops");
    };
    await Promise.all(all.map(sendAway));
    if (all.length > 0) await rest(50); // the closing handshakes
    for (const connection of this.#all.values()) connection.terminate();
    this.stop();
  }

  stop(): void {
    clearInterval(this.#watch);
    clearTimeout(this.#holdTimer);
  }

  #bind(connection: ClientConnection, userId: string): void {
    const others = this.#byUser.get(userId) ?? [];
    if (others.length >= this.#userMax) {
      throw new RpcError(
        "RESOURCE_EXHAUSTED",
        `one user has at most ${this.#userMax} connections here: close one`,
      );
    }
    if (others.length === 0) this.#byUser.set(userId, others);
    others.push(connection);
    this.#strangers.delete(connection);
    this.#attached += 1;
  }

  #unbind(connection: ClientConnection, userId: string): void {
    this.#attached -= 1;
    const left = this.#byUser.get(userId)!.filter((one) => one !== connection);
    if (left.length === 0) this.#byUser.delete(userId);
    else this.#byUser.set(userId, left);
  }

  #hold(connection: ClientConnection): void {
    this.#waiting.add(connection);
    this.#holdTimer ??= setTimeout(() => this.#released(), HINT_HOLD_MS);
  }

  #released(): void {
    this.#holdTimer = undefined;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const connection of waiting) if (connection.due()) this.#hold(connection);
  }

  #look(): void {
    // Nobody can be heard while the campus is cut off, and nobody is to be told.
    if (border.isCut) return;
    const nowMs = this.#parts.now();
    const clockMs = Date.now();
    for (const connection of this.#all.values()) {
      connection.requireTicketAt(clockMs);
      this.#lookAt(connection, nowMs);
    }
  }

  #lookAt(connection: ClientConnection, nowMs: number): void {
    if (connection.who === undefined && connection.inFlight === 0) {
      const sinceMs = Math.max(connection.openedAtMs, connection.lastHeardMs);
      if (nowMs - sinceMs > this.#attachTimeoutMs) connection.close(1008, "no Attach in time");
      return;
    }
    const pings = connection.pingsUnanswered;
    if (nowMs - connection.lastHeardMs < this.#pingEveryMs * (pings + 1)) return;
    if (pings < PINGS_UNANSWERED_MAX) {
      connection.ping();
      return;
    }
    monitor.add(silent, 1);
    connection.terminate();
  }
}

function asRegistered(connection: ClientConnection): Connection {
  const { userId, device } = connection.who!;
  return { number: connection.number, userId, device };
}
