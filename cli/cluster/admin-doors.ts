/**
 * Through the admin doors into a cluster: a connection to any service in any campus by way of whichever
 * door answers. A door whose campus is gone is silent, so the next one is tried a moment later without
 * giving the first one up; the one that answered last is tried first.
 */
import type { Socket } from "node:net";
import {
  type Asked,
  type Described,
  type DoorAnswer,
  firstLine,
  parseAnswer,
} from "../../services/admin/preamble-client.ts";
import { Credentials } from "../../services/svrkit/tls/credentials.ts";
import { dialSocket, wireOver } from "../../services/svrkit/transport/tcp.ts";
import type { Wire } from "../../services/svrkit/transport/wire.ts";
import type { SavedCluster } from "./saved.ts";

/** A door that has not answered for so long is not waited for alone. */
const NEXT_DOOR_MS = 300;
const ANSWER_MS = 3_000;
/** Two hops, of which the first may have to be tried at three doors. */
const DIAL_MS = 2_500;

export class AdminDoors {
  readonly #addresses: string[];
  readonly #credentials: Credentials;

  /** Throws when the certificate cannot be used. */
  constructor({ admin, tls }: Pick<SavedCluster, "admin" | "tls">) {
    this.#addresses = admin.map(({ address }) => address);
    this.#credentials = new Credentials(tls);
  }

  /** A wire to a service in a campus. */
  async dial(service: string, campus: string): Promise<Wire> {
    const { socket } = await this.#through({ service, campus }, DIAL_MS);
    return wireOver(socket, `${service} in campus ${campus}`);
  }

  /** What the data centre is made of. */
  async describe(timeoutMs: number): Promise<Described> {
    const { socket, answer } = await this.#through({ describe: true }, timeoutMs);
    socket.destroy();
    if (answer.ok && answer.described !== undefined) return answer.described;
    throw new Error("the admin door does not describe the data centre: is it an older version?");
  }

  async #through(asked: Asked, timeoutMs: number): Promise<{ socket: Socket; answer: DoorAnswer }> {
    const order = [...this.#addresses];
    const won = Promise.withResolvers<{ socket: Socket; answer: DoorAnswer }>();
    const failures: Error[] = [];
    let timer: NodeJS.Timeout | undefined;
    let next = 0;
    let isOver = false;
    const tryNext = () => {
      clearTimeout(timer);
      if (isOver || next >= order.length) return;
      const address = order[next]!;
      next += 1;
      this.#at(address, asked, timeoutMs).then(
        (found) => {
          if (isOver) found.socket.destroy();
          else this.#prefer(address);
          won.resolve(found);
        },
        (error: Error) => {
          failures.push(error);
          if (failures.length === order.length) won.reject(failures[0]!);
          else tryNext();
        },
      );
      timer = setTimeout(tryNext, NEXT_DOOR_MS);
    };
    const giveUp = setTimeout(() => {
      won.reject(failures[0] ?? new Error(`no admin door answers (${order.join(", ")})`));
    }, timeoutMs);
    tryNext();
    try {
      return await won.promise;
    } finally {
      isOver = true;
      clearTimeout(timer);
      clearTimeout(giveUp);
    }
  }

  #prefer(address: string): void {
    this.#addresses.splice(this.#addresses.indexOf(address), 1);
    this.#addresses.unshift(address);
  }

  async #at(
    address: string,
    asked: Asked,
    timeoutMs: number,
  ): Promise<{ socket: Socket; answer: DoorAnswer }> {
    const at = address.lastIndexOf(":");
    const endpoint = { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
    const socket = await dialSocket(endpoint, timeoutMs, { credentials: this.#credentials });
    socket.write(`${JSON.stringify(asked)}\n`);
    const answer = await readAnswer(socket);
    if (answer.ok) return { socket, answer };
    socket.destroy();
    throw new Error(`the admin door at ${address}: ${answer.message}`);
  }
}

/** Resolves behind the first line: paused, with what came after it given back to the socket. */
function readAnswer(socket: Socket): Promise<DoorAnswer> {
  return new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const finish = (act: () => void) => {
      clearTimeout(timer);
      socket.off("data", read);
      socket.off("error", failed);
      socket.off("close", ended);
      act();
    };
    const failed = (error: Error) => finish(() => reject(error));
    const ended = () => finish(() => reject(new Error("the admin door ended the connection")));
    const timer = setTimeout(
      () => finish(() => reject(new Error("the admin door does not answer"))),
      ANSWER_MS,
    );
    const read = (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      try {
        const found = firstLine(bytes);
        if (found === undefined) return;
        const answer = parseAnswer(found.line);
        socket.pause();
        if (found.rest.length > 0) socket.unshift(found.rest);
        finish(() => resolve(answer));
      } catch (error) {
        failed(error as Error);
      }
    };
    socket.on("data", read);
    socket.once("error", failed);
    socket.once("close", ended);
  });
}
