/** TCP wires: one socket each, Nagle off (sessions gather their writes), held by the border when cut. */
import { connect, createServer, type Server, type Socket } from "node:net";
import { border } from "./border.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** How long a closing connection may take to hand over what was written. */
const CLOSE_TIMEOUT_MS = 1_000;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

class TcpWire implements Wire {
  readonly remote: string;
  readonly #socket: Socket;
  #leaveBorder: () => void;
  #events: WireEvents | undefined;
  #reason = "closed by the other side";

  constructor(socket: Socket, remote: string) {
    this.remote = remote;
    this.#socket = socket;
    socket.setNoDelay(true);
    this.#leaveBorder = border.admit({
      hold: () => {
        socket.pause();
        socket.cork();
      },
      release: (isStale) => {
        if (isStale) {
          this.#reason = "the campus was cut off";
          socket.destroy();
          return;
        }
        socket.uncork();
        socket.resume();
      },
    });
    socket.on("data", (chunk) => this.#events?.data(chunk));
    socket.on("error", (error) => {
      this.#reason = error.message;
    });
    socket.on("close", () => {
      this.#leaveBorder();
      this.#events?.closed(this.#reason);
    });
    if (border.isCut) socket.pause();
  }

  bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  write(chunk: Buffer): void {
    if (!this.#socket.destroyed) this.#socket.write(chunk);
  }

  close(): void {
    this.#reason = "closed here";
    if (this.#socket.connecting || border.isCut) {
      this.#socket.destroy();
      return;
    }
    // end() first hands queued replies to the kernel; a peer that does not read cannot hold us.
    const giveUp = setTimeout(() => this.#socket.destroy(), CLOSE_TIMEOUT_MS);
    this.#socket.once("close", () => clearTimeout(giveUp));
    this.#socket.end(() => this.#socket.destroy());
  }

  bind(events: WireEvents): void {
    this.#events = events;
  }

  markInside(): void {
    this.#leaveBorder();
    this.#leaveBorder = () => {};
  }
}

/** Connects; rejects with the system's error, or when `timeoutMs` passes first. */
export function dial(endpoint: Endpoint, timeoutMs: number): Promise<Wire> {
  return new Promise((resolve, reject) => {
    const remote = `${endpoint.host}:${endpoint.port}`;
    const socket = connect({ host: endpoint.host, port: endpoint.port });
    const timer = setTimeout(() => {
      socket.destroy(new Error(`connecting to ${remote} took longer than ${timeoutMs} ms`));
    }, timeoutMs);
    const failed = (error: Error) => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once("error", failed);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.off("error", failed);
      resolve(new TcpWire(socket, remote));
    });
  });
}

/** Listens; port 0 picks a free one. Rejects when the address cannot be had. */
export function listen(endpoint: Endpoint, accept: (wire: Wire) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      accept(new TcpWire(socket, `${socket.remoteAddress}:${socket.remotePort}`));
    });
    server.once("error", reject);
    server.listen({ host: endpoint.host, port: endpoint.port, backlog: 1024 }, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}
