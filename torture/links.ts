/**
 * The network of a torture: between every two processes connections pass through this one, which can
 * hold back what flows, in both directions or in one, delay it, or reset it. Held back means held: bytes
 * wait in the sockets' buffers, connections stay open, new ones are made and hear nothing; afterwards
 * everything flows on, late, as after a cable was cut and mended.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import type { ServiceAddress } from "../services/svrkit/client.ts";

const HOST = "127.0.0.1";
/** Bytes of one direction of one connection that wait here; beyond, they wait at the sender. */
const WAITING_BYTES_MAX = 1024 * 1024;

/** How bytes go from one process to another. */
interface Way {
  isHeld: boolean;
  delayMs: number;
  readonly streams: Set<Stream>;
}

/** One direction of one connection. */
class Stream {
  readonly #way: Way;
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #waiting: { chunk: Buffer | undefined; dueMs: number }[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(way: Way, from: Socket, to: Socket) {
    this.#way = way;
    this.#from = from;
    this.#to = to;
    from.on("data", (chunk) => this.#take(chunk));
    from.once("close", () => this.#take(undefined));
    to.on("drain", () => this.flow());
    way.streams.add(this);
  }

  /** undefined: the end. */
  #take(chunk: Buffer | undefined): void {
    this.#waiting.push({ chunk, dueMs: performance.now() + this.#way.delayMs });
    this.#bytes += chunk?.length ?? 0;
    this.flow();
  }

  /** Passes on what is due, in order. */
  flow(): void {
    clearTimeout(this.#timer);
    while (!this.#way.isHeld && this.#waiting.length > 0 && !this.#to.writableNeedDrain) {
      const { chunk, dueMs } = this.#waiting[0]!;
      const waitMs = dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.flow(), waitMs);
        break;
      }
      this.#waiting.shift();
      if (chunk === undefined) {
        this.#end();
        return;
      }
      this.#bytes -= chunk.length;
      if (!this.#to.destroyed) this.#to.write(chunk);
    }
    if (this.#way.isHeld || this.#bytes > WAITING_BYTES_MAX) this.#from.pause();
    else this.#from.resume();
  }

  #end(): void {
    this.stop();
    this.#to.end(() => this.#to.destroy());
  }

  reset(): void {
    this.stop();
    this.#from.resetAndDestroy();
    this.#to.resetAndDestroy();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#way.streams.delete(this);
  }
}

export class Links {
  /** By sender, then receiver: nodes are numbers, replicas first. */
  readonly #ways: readonly (readonly Way[])[];
  /** Where the replicas listen now, by number. */
  readonly #ports: number[] = [];
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(nodes: number) {
    const numbers = Array.from({ length: nodes }, (_, node) => node);
    this.#ways = numbers.map(() =>
      numbers.map((): Way => ({ isHeld: false, delayMs: 0, streams: new Set() })),
    );
  }

  /** The address under which one node reaches a replica for as long as this runs. */
  async open(from: number, to: number, campus: string): Promise<ServiceAddress> {
    const server = createServer((near) => {
      const port = this.#ports[to];
      near.on("error", () => {}); // ends with "close"
      if (port === undefined) {
        near.destroy();
        return;
      }
      const far = connect({ host: HOST, port, noDelay: true });
      far.on("error", () => {});
      near.setNoDelay(true);
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.once("close", () => this.#sockets.delete(socket));
      }
      new Stream(this.#way(from, to), near, far).flow();
      new Stream(this.#way(to, from), far, near).flow();
    });
    this.#servers.push(server);
    await new Promise<void>((resolve) => server.listen({ host: HOST, port: 0 }, resolve));
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port was given");
    return { campus, host: HOST, port: address.port };
  }

  #way(from: number, to: number): Way {
    return this.#ways[from]![to]!;
  }

  get #nodes(): number[] {
    return this.#ways.map((_, node) => node);
  }

  /** The replica listens there from now on. */
  moved(replica: number, port: number): void {
    this.#ports[replica] = port;
  }

  hold(from: number, to: number): void {
    this.#set(from, to, { isHeld: true });
  }

  /** Between a node and everybody else, in both directions. */
  holdAll(node: number): void {
    for (const other of this.#nodes) {
      this.hold(node, other);
      this.hold(other, node);
    }
  }

  delay(from: number, to: number, delayMs: number): void {
    this.#set(from, to, { delayMs });
  }

  /** Nothing is held back or delayed any more. */
  mend(): void {
    for (const from of this.#nodes)
      for (const to of this.#nodes) this.#set(from, to, { isHeld: false, delayMs: 0 });
  }

  #set(from: number, to: number, change: Partial<Pick<Way, "isHeld" | "delayMs">>): void {
    const way = this.#way(from, to);
    Object.assign(way, change);
    for (const stream of [...way.streams]) stream.flow();
  }

  /** Breaks every connection between two nodes; returns how many streams there were. */
  reset(one: number, other: number): number {
    const streams = [...this.#way(one, other).streams, ...this.#way(other, one).streams];
    for (const stream of streams) stream.reset();
    return streams.length;
  }

  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}
