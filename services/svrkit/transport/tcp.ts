/**
 * TCP wires: one socket each, Nagle off (sessions gather their writes), held by the border when cut.
 *
 * With credentials they are TLS 1.3 wires, and both sides prove with certificates which services they
 * are. Without, they are plain, and nobody outside the machine can be trusted: a plain door beyond
 * loopback has to be asked for by name.
 */
import { connect, createServer, isIP, type Server, type Socket } from "node:net";
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from "node:tls";
import { GIVEN_UP_AFTER_MS, KEEPALIVE_MS } from "../limits.ts";
import type { Credentials } from "../tls/credentials.ts";
import { servicesOf } from "../tls/identity.ts";
import { earliestArrivalMs } from "./arrival.ts";
import { border } from "./border.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** How long a closing connection may take to hand over what was written. */
const CLOSE_TIMEOUT_MS = 1_000;

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface Security {
  /** undefined: plain. */
  readonly credentials?: Credentials | undefined;
  /** Plain connections beyond loopback were asked for by name. */
  readonly plaintext?: boolean | undefined;
}

class TcpWire implements Wire {
  readonly remote: string;
  readonly proved: ReadonlySet<string> | undefined;
  readonly #socket: Socket;
  #leaveBorder: () => void;
  #events: WireEvents | undefined;
  #reason = "closed by the other side";

  constructor(socket: Socket, remote: string, proved: ReadonlySet<string> | undefined) {
    this.remote = remote;
    this.proved = proved;
    this.#socket = socket;
    socket.setNoDelay(true);
    // Who only answers learns in no other way that the far end has gone: libuv asks ten times, a second apart.
    socket.setKeepAlive(true, KEEPALIVE_MS);
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
    socket.on("data", (chunk) => this.#events?.data(chunk, earliestArrivalMs()));
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
    // What came before, to a connection that was handed over paused, waited for this.
    if (!border.isCut) this.#socket.resume();
  }

  markInside(): void {
    this.#leaveBorder();
    this.#leaveBorder = () => {};
  }
}

/** Connects; rejects with the system's error, or when `timeoutMs` passes first. */
export async function dial(
  endpoint: Endpoint,
  timeoutMs: number,
  security: Security = {},
): Promise<Wire> {
  const socket = await dialSocket(endpoint, timeoutMs, security);
  const proved = security.credentials && provedBy(socket as TLSSocket);
  return new TcpWire(socket, `${endpoint.host}:${endpoint.port}`, proved);
}

/** A wire over a connection that somebody else has made, left paused, and answers for. */
export function wireOver(socket: Socket, remote: string): Wire {
  return new TcpWire(socket, remote, undefined);
}

/** The same without a wire around it, for who passes bytes on. */
export function dialSocket(
  endpoint: Endpoint,
  timeoutMs: number,
  { credentials, plaintext }: Security = {},
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const { host, port } = endpoint;
    const remote = `${host}:${port}`;
    if (credentials === undefined) requirePlain(host, plaintext);
    const socket =
      credentials === undefined ? connect({ host, port }) : dialTls(endpoint, credentials);
    const timer = setTimeout(() => {
      socket.destroy(new Error(`connecting to ${remote} took longer than ${timeoutMs} ms`));
    }, timeoutMs);
    const failed = (error: Error) => {
      clearTimeout(timer);
      reject(error);
    };
    socket.once("error", failed);
    socket.once(credentials === undefined ? "connect" : "secureConnect", () => {
      clearTimeout(timer);
      socket.off("error", failed);
      resolve(socket);
    });
  });
}

/** The certificate says which services answer there; what host it runs on says nothing. */
function dialTls({ host, port }: Endpoint, credentials: Credentials): TLSSocket {
  const { context: secureContext } = credentials;
  const checkServerIdentity = () => undefined;
  return connectTls({ host, port, secureContext, minVersion: "TLSv1.3", checkServerIdentity });
}

/** Listens; port 0 picks a free one. Rejects when the address cannot be had. */
export function listen(
  endpoint: Endpoint,
  accept: (wire: Wire) => void,
  security: Security = {},
): Promise<Server> {
  const take = (socket: Socket, proved: ReadonlySet<string> | undefined) =>
    accept(new TcpWire(socket, `${socket.remoteAddress}:${socket.remotePort}`, proved));
  return listenSockets(endpoint, take, security);
}

/** The same without wires. `take` gets what the caller's certificate proves; undefined: it is plain. */
export function listenSockets(
  { host, port }: Endpoint,
  take: (socket: Socket, proved: ReadonlySet<string> | undefined) => void,
  { credentials, plaintext }: Security = {},
): Promise<Server> {
  return new Promise((resolve, reject) => {
    if (credentials === undefined) requirePlain(host, plaintext);
    const server =
      credentials === undefined
        ? createServer((socket) => take(socket, undefined))
        : listenTls(credentials, (socket) => take(socket, provedBy(socket)));
    server.once("error", reject);
    server.listen({ host, port, backlog: 1024 }, () => {
      server.off("error", reject);
      resolve(server);
    });
  });
}

function listenTls(credentials: Credentials, take: (socket: TLSSocket) => void): Server {
  const options = {
    ...{ requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.3" as const },
    handshakeTimeout: GIVEN_UP_AFTER_MS,
  };
  const { ca, cert, key } = credentials.material;
  const server = createTlsServer({ ...options, ca, cert, key }, take);
  const forget = credentials.onChange(({ ca, cert, key }) =>
    server.setSecureContext({ ca, cert, key, minVersion: "TLSv1.3" }),
  );
  // Whoever cannot prove what it is never gets as far as a wire; its own end says why.
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  server.on("close", forget);
  return server;
}

function provedBy(socket: TLSSocket): ReadonlySet<string> {
  const certificate = socket.getPeerX509Certificate();
  return certificate === undefined ? new Set() : servicesOf(certificate);
}

/** Throws unless plain connections may be had there. */
export function requirePlain(host: string, plaintext: boolean | undefined): void {
  if (plaintext === true || isLoopback(host)) return;
  throw new Error(
    `plain connections at ${host}, which is not loopback: configure tls, or ask for plaintext by name`,
  );
}

function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith("127.");
  return host === "::1" || host === "localhost";
}
