/**
 * The admin door: one TLS port a campus through which the platform's people reach every process in
 * every campus, from outside the cluster. Whoever shows a certificate for "cli" names a service and
 * a campus, and gets a connection to it; from then on bytes are passed on, both ways.
 *
 * Why connections and not calls: every command of `tricampus` works through it as it does on one
 * machine, with the same clients, and nothing has to be added here for the next one. What the people
 * may call is decided where it always is, by the table of callers in each process. It needs neither the API
 * server nor the cluster's DNS, so a campus can be blocked while both are away.
 */
import type { Server, Socket } from "node:net";
import type { ServiceAddress } from "../svrkit/client.ts";
import type { Logger } from "../svrkit/log.ts";
import { dialSocket, listenSockets, type Security } from "../svrkit/transport/tcp.ts";
import {
  type Asked,
  type Described,
  type DoorAnswer,
  firstLine,
  parseAsked,
} from "./preamble-client.ts";

/** Who may come in. */
const PEOPLE = "cli";
const PREAMBLE_MS = 5_000;
const DIAL_MS = 2_000;

interface DoorParts {
  readonly addressesOf: (service: string) => readonly ServiceAddress[];
  readonly describe: () => Described;
  readonly security: Security;
  readonly connectionsMax: number;
  readonly log: Logger;
}

export class AdminDoor {
  readonly #parts: DoorParts;
  readonly #open = new Set<Socket>();
  #listener: Server | undefined;

  constructor(parts: DoorParts) {
    this.#parts = parts;
  }

  /** Rejects when the port cannot be had. */
  async listen(endpoint: { host: string; port: number }): Promise<number> {
    const take = (socket: Socket, proved: ReadonlySet<string> | undefined) =>
      void this.#take(socket, proved);
    this.#listener = await listenSockets(endpoint, take, this.#parts.security);
    const address = this.#listener.address();
    return typeof address === "object" && address !== null ? address.port : endpoint.port;
  }

  close(): void {
    this.#listener?.close();
    for (const socket of this.#open) socket.destroy();
  }

  async #take(socket: Socket, proved: ReadonlySet<string> | undefined): Promise<void> {
    socket.on("error", () => socket.destroy());
    if (this.#open.size >= this.#parts.connectionsMax) {
      socket.destroy();
      return;
    }
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    try {
      if (proved !== undefined && !proved.has(PEOPLE))
        throw new Error(`the certificate is not one for "${PEOPLE}"`);
      const { asked, rest } = await readPreamble(socket);
      await this.#lead(socket, asked, rest);
    } catch (error) {
      const { message } = error as Error;
      this.#parts.log.info({ remote: socket.remoteAddress, reason: message }, "refused");
      answer(socket, { ok: false, message });
      socket.end();
    }
  }

  async #lead(socket: Socket, asked: Asked, rest: Buffer): Promise<void> {
    if ("describe" in asked) {
      answer(socket, { ok: true, described: this.#parts.describe() });
      socket.end();
      return;
    }
    const { service, campus } = asked;
    const { addressesOf, security, log } = this.#parts;
    const address = addressesOf(service).find((one) => one.campus === campus);
    if (address === undefined) throw new Error(`there is no campus "${campus}"`);
    const inner = await dialSocket(address, DIAL_MS, security);
    log.info({ remote: socket.remoteAddress, service, campus }, "led through");
    answer(socket, { ok: true });
    inner.setNoDelay(true);
    socket.setNoDelay(true);
    if (rest.length > 0) inner.write(rest);
    // Each side's end or failure ends the other.
    inner.on("error", () => inner.destroy());
    inner.once("close", () => socket.destroy());
    socket.once("close", () => inner.destroy());
    socket.pipe(inner);
    inner.pipe(socket);
  }
}

function answer(socket: Socket, said: DoorAnswer): void {
  if (!socket.destroyed) socket.write(`${JSON.stringify(said)}\n`);
}

/** Resolves with the socket paused behind the first line. */
function readPreamble(socket: Socket): Promise<{ asked: Asked; rest: Buffer }> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const finish = (act: () => void) => {
      clearTimeout(timer);
      socket.off("data", read);
      socket.off("close", ended);
      socket.pause();
      act();
    };
    const ended = () => finish(() => reject(new Error("it ended before its first line")));
    const timer = setTimeout(
      () => finish(() => reject(new Error("no first line came in time"))),
      PREAMBLE_MS,
    );
    const read = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      try {
        const found = firstLine(bytes);
        if (found === undefined) return;
        const asked = parseAsked(found.line);
        finish(() => resolve({ asked, rest: found.rest }));
      } catch (error) {
        finish(() => reject(error));
      }
    };
    socket.on("data", read);
    socket.once("close", ended);
  });
}
