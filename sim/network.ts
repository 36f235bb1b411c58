/**
 * The simulated network: nodes that dial each other, and wires that are TCP's promises without TCP.
 * Bytes of one wire arrive in order or the wire ends; between wires any order is possible. A link is
 * one direction between two nodes: it can be slow, or blocked, in which case what is sent waits as it
 * would for TCP's retransmissions. Nothing tells a sender that the other host has lost power.
 */

import type { Random } from "../services/svrkit/seeded-random.ts";
import type { Server } from "../services/svrkit/server.ts";
import type { Wire, WireEvents } from "../services/svrkit/transport/wire.ts";
import type { Clock, Process } from "./clock.ts";

export interface NetworkOptions {
  readonly latencyMs: readonly [number, number];
  /** Share of packets that take up to `spikeMs` longer. */
  readonly spikes: number;
  readonly spikeMs: number;
}

/** Whoever takes a wire in. */
type Listener = Pick<Server, "accept">;

interface Link {
  blocked: boolean;
  slowMs: number;
}

type Packet = { what: "data"; chunk: Buffer } | { what: "end"; reason: string };

class SimulatedWire implements Wire {
  readonly network: Network;
  readonly node: number;
  readonly process: Process;
  readonly remote: string;
  readonly proved = undefined;
  peer: SimulatedWire | undefined;
  events: WireEvents | undefined;
  closed = false;
  inFlight = 0;
  arrivesMs = 0;
  /** Sent while the link was blocked. */
  waiting: Packet[] = [];
  early: Packet[] = [];

  constructor(network: Network, node: number, process: Process, remote: string) {
    this.network = network;
    this.node = node;
    this.process = process;
    this.remote = remote;
  }

  bufferedBytes(): number {
    return this.inFlight;
  }

  write(chunk: Buffer): void {
    if (this.closed) return;
    this.inFlight += chunk.length;
    this.network.send(this, { what: "data", chunk });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.network.send(this, { what: "end", reason: "closed by the other side" });
    this.network.forget(this);
    this.network.clock.after(this.process, 0, () => this.events?.closed("closed here"));
  }

  bind(events: WireEvents): void {
    this.events = events;
    for (const packet of this.early.splice(0))
      this.network.clock.after(this.process, 0, () => this.arrive(packet));
  }

  arrive(packet: Packet): void {
    if (this.closed) return;
    if (this.events === undefined) this.early.push(packet);
    else if (packet.what === "data") this.events.data(packet.chunk, performance.now());
    else this.end(packet.reason);
  }

  end(reason: string): void {
    if (this.closed) return;
    this.closed = true;
    this.network.forget(this);
    this.events?.closed(reason);
  }

  markInside(): void {}
}

export class Network {
  readonly clock: Clock;
  readonly #random: Random;
  readonly #options: NetworkOptions;
  readonly #links = new Map<string, Link>();
  readonly #listeners = new Map<number, { process: Process; server: Listener }>();
  readonly #wires = new Set<SimulatedWire>();
  bytes = 0;

  constructor(clock: Clock, random: Random, options: NetworkOptions) {
    this.clock = clock;
    this.#random = random;
    this.#options = options;
  }

  #link(from: number, to: number): Link {
    const name = `${from}>${to}`;
    let link = this.#links.get(name);
    if (link === undefined) {
      link = { blocked: false, slowMs: 0 };
      this.#links.set(name, link);
    }
    return link;
  }

  listen(node: number, process: Process, server: Listener): void {
    this.#listeners.set(node, { process, server });
  }

  /** A connection from a process on one node to whoever listens on another. */
  dial(from: { node: number; process: Process }, to: number, timeoutMs: number): Promise<Wire> {
    const { node, process } = from;
    return new Promise((resolve, reject) => {
      const arrivesMs = this.#delay(node, to);
      let isLate = false;
      this.clock.after(process, timeoutMs, () => {
        isLate = true;
        reject(new Error(`connecting to node ${to} took longer than ${timeoutMs} ms`));
      });
      this.clock.after(this.clock.outside, arrivesMs, () => {
        if (this.#link(node, to).blocked || this.#link(to, node).blocked) return;
        const backMs = this.#delay(to, node);
        const listener = this.#listeners.get(to);
        if (listener === undefined || !listener.process.alive) {
          this.clock.after(process, backMs, () => reject(new Error(`node ${to} refuses`)));
          return;
        }
        const near = new SimulatedWire(this, node, process, `node ${to}`);
        const far = new SimulatedWire(this, to, listener.process, `node ${node}`);
        near.peer = far;
        far.peer = near;
        this.#wires.add(near).add(far);
        this.clock.after(listener.process, 0, () => listener.server.accept(far));
        this.clock.after(process, backMs, () => (isLate ? near.close() : resolve(near)));
      });
    });
  }

  send(wire: SimulatedWire, packet: Packet): void {
    if (this.#link(wire.node, wire.peer!.node).blocked) wire.waiting.push(packet);
    else this.#carry(wire, packet);
  }

  #carry(wire: SimulatedWire, packet: Packet): void {
    const peer = wire.peer!;
    const arrivesMs = this.clock.nowMs + this.#delay(wire.node, peer.node);
    wire.arrivesMs = Math.max(wire.arrivesMs, arrivesMs);
    if (packet.what === "data") this.bytes += packet.chunk.length;
    this.clock.after(this.clock.outside, wire.arrivesMs - this.clock.nowMs, () => {
      if (packet.what === "data") wire.inFlight -= packet.chunk.length;
      if (peer.process.alive) this.clock.after(peer.process, 0, () => peer.arrive(packet));
      else if (this.#listeners.get(peer.node)?.process.alive === true)
        // The host is up again and knows nothing of this connection.
        this.clock.after(wire.process, this.#delay(peer.node, wire.node), () => wire.end("reset"));
    });
  }

  #delay(from: number, to: number): number {
    const { latencyMs, spikes, spikeMs } = this.#options;
    const [low, high] = latencyMs;
    const spike = this.#random.chance(spikes) ? this.#random.between(0, spikeMs) : 0;
    const { slowMs } = this.#link(from, to);
    const slow = slowMs === 0 ? 0 : slowMs * this.#random.between(0.5, 1.5);
    return this.#random.between(low, high) + spike + slow;
  }

  forget(wire: SimulatedWire): void {
    this.#wires.delete(wire);
  }

  block(from: number, to: number): void {
    this.#link(from, to).blocked = true;
  }

  unblock(from: number, to: number): void {
    const link = this.#link(from, to);
    if (!link.blocked) return;
    link.blocked = false;
    for (const wire of [...this.#wires]) {
      if (wire.node !== from || wire.peer!.node !== to) continue;
      for (const packet of wire.waiting.splice(0)) this.#carry(wire, packet);
    }
  }

  slow(from: number, to: number, slowMs: number): void {
    this.#link(from, to).slowMs = slowMs;
  }

  /** Every connection between two nodes ends at both sides. False when there is none. */
  reset(one: number, other: number): boolean {
    let any = false;
    for (const wire of [...this.#wires]) {
      if (wire.node !== one || wire.peer!.node !== other) continue;
      any = true;
      this.clock.after(wire.process, 0, () => wire.end("reset"));
      this.clock.after(wire.peer!.process, 0, () => wire.peer!.end("reset"));
    }
    return any;
  }

  /** The wires of a process that ended: its kernel tells the others, unless the power went too. */
  died(process: Process, isSilent: boolean): void {
    for (const wire of [...this.#wires]) {
      if (wire.process !== process) continue;
      wire.closed = true;
      this.#wires.delete(wire);
      if (isSilent) wire.waiting = [];
      else this.send(wire, { what: "end", reason: "reset" });
    }
  }
}
