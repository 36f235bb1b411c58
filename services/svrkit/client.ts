/**
 * The calling door: a Client holds one Callee per service (callee.ts), each with all replicas in all
 * campuses, and the connections that they share.
 */

import { monotonicMs } from "./call.ts";
import { Callee } from "./callee.ts";
import { Blocks } from "./failover/blocks.ts";
import { LocalReplica } from "./failover/local-replica.ts";
import { Peer, type PeerAddress } from "./failover/peer.ts";
import { WATCH_INTERVAL_MS } from "./limits.ts";
import type { Server, ServerIdentity } from "./server.ts";
import { dial, type Security } from "./transport/tcp.ts";

export type { Callee } from "./callee.ts";

/** One replica of a service, as configuration names it. */
export interface ServiceAddress {
  readonly campus: string;
  /** Host and port are read at every attempt to connect: they may change, and may throw. */
  readonly host: string;
  readonly port: number;
  /** What the place is called whatever its address; default: the address as it is now. */
  readonly label?: string;
}

export interface CalleeOptions {
  readonly caller: string;
  readonly local?: Server | undefined;
}

export class Client {
  readonly #identity: ServerIdentity;
  readonly #blocks: Blocks;
  readonly #security: Security | undefined;
  readonly #peers = new Map<string, Peer>();
  readonly #locals = new Map<Server, LocalReplica>();
  #timer: NodeJS.Timeout | undefined;
  #expectedMs = 0;
  #stopped = false;

  /** `blocks`: what is left out of every choice; default: nothing. `security`: plain on loopback. */
  constructor(identity: ServerIdentity, blocks: Blocks = new Blocks(), security?: Security) {
    this.#identity = identity;
    this.#blocks = blocks;
    this.#security = security;
  }

  /**
   * The callee for a service, called on behalf of the service `caller`. Services that share a
   * process share its one connection; `local` serves the address of the own campus in this process.
   */
  callee(service: string, addresses: readonly ServiceAddress[], options: CalleeOptions): Callee {
    const dialled = addresses.map(
      (a): PeerAddress => ({
        campus: a.campus,
        label: a.label ?? `campus ${a.campus} at ${a.host}:${a.port}`,
        dial: (timeoutMs) => dial(a, timeoutMs, this.#security),
      }),
    );
    return this.calleeFrom(service, dialled, options);
  }

  calleeFrom(service: string, addresses: readonly PeerAddress[], options: CalleeOptions): Callee {
    const peers = addresses.map((address) =>
      options.local !== undefined && address.campus === this.#identity.campus
        ? this.#localReplica(options.local)
        : this.#peer(address, service),
    );
    const { campus } = this.#identity;
    return new Callee(service, peers, { campus, caller: options.caller, blocks: this.#blocks });
  }

  #localReplica(server: Server): LocalReplica {
    let local = this.#locals.get(server);
    if (local === undefined) {
      local = new LocalReplica(this.#identity.campus, server, () => this.#startWatch());
      this.#locals.set(server, local);
    }
    return local;
  }

  #peer(address: PeerAddress, service: string): Peer {
    let peer = this.#peers.get(address.label);
    if (peer === undefined) {
      peer = new Peer(address, this.#identity, () => this.#startWatch());
      this.#peers.set(address.label, peer);
    }
    peer.expect(service);
    return peer;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    for (const peer of this.#peers.values()) peer.stop();
  }

  /** Looks after silence and deadlines while there is something to look after, and only then. */
  #startWatch(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#expectedMs = monotonicMs() + WATCH_INTERVAL_MS;
    this.#timer = setInterval(() => this.#watch(), WATCH_INTERVAL_MS);
    this.#timer.unref();
  }

  #watch(): void {
    const nowMs = monotonicMs();
    const lateMs = nowMs - this.#expectedMs;
    this.#expectedMs = nowMs + WATCH_INTERVAL_MS;
    const loopLateMs = lateMs > WATCH_INTERVAL_MS ? lateMs : 0;
    let busy = false;
    for (const peer of this.#peers.values()) {
      peer.watch(nowMs, loopLateMs);
      busy = peer.needsWatch || busy;
    }
    for (const local of this.#locals.values()) {
      local.watch(nowMs, loopLateMs);
      busy = local.needsWatch || busy;
    }
    if (busy) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
