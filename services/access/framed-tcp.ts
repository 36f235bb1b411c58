/**
 * The long way in of programs: a TCP connection on the client port that begins with PREAMBLE. Behind it
 * both sides send frames, each behind its length (length-prefixed.ts). A frame of no bytes asks for a
 * sign of life; the client answers with one. HTTP begins with a letter, so one port serves both.
 */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { encodeServerFrame } from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { NO_BYTES, toBytes } from "../svrkit/codec.ts";
import { border } from "../svrkit/transport/border.ts";
import { LengthPrefixedReader, lengthPrefixed } from "../svrkit/transport/length-prefixed.ts";
import type { Carrier } from "./carrier.ts";
import { clientAddress } from "./client-address.ts";
import type { ClientConnection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { corkForTick } from "./cork.ts";
import type { Door } from "./door.ts";
import { endSoon } from "./last-words.ts";
import { FIRST_BYTE_TIMEOUT_MS, FRAME_BYTES_MAX } from "./limits.ts";
import { whenJoined } from "./silence.ts";

/** The last byte is the version. */
const PREAMBLE = Buffer.from([0, 0x54, 0x43, 1]);

/**
 * Takes from an HTTP server's new connections those that begin otherwise. `event`: the one that brings
 * them. Returns what ends those that have said nothing for so long.
 */
export function acceptFramed(
  server: Server,
  event: "connection" | "secureConnection",
  connections: Connections,
  door: Door,
): (quietMs: number) => void {
  /** With the monotonic time at which they came, the oldest first. */
  const silent = new Map<Socket, number>();
  const others = server.listeners(event) as ((socket: Socket) => void)[];
  server.removeAllListeners(event);
  server.on(event, (socket: Socket) => {
    silent.set(socket, monotonicMs());
    socket.on("error", () => socket.destroy());
    socket.once("close", () => silent.delete(socket));
    socket.setTimeout(FIRST_BYTE_TIMEOUT_MS, () => socket.destroy());
    socket.once("readable", () => {
      const head = socket.read() as Buffer | null;
      // Readable is also what has ended.
      if (head === null) {
        socket.destroy();
        return;
      }
      silent.delete(socket);
      socket.setTimeout(0);
      socket.removeAllListeners("timeout");
      socket.unshift(head);
      if (head[0] !== PREAMBLE[0]) for (const other of others) other.call(server, socket);
      else void welcome(socket, connections, door);
    });
  });
  return (quietMs) => {
    const latestMs = monotonicMs() - quietMs;
    for (const [socket, sinceMs] of silent) {
      if (sinceMs > latestMs) break;
      socket.destroy();
    }
  };
}

async function welcome(socket: Socket, connections: Connections, door: Door): Promise<void> {
  if (await whenJoined()) socket.destroy();
  if (socket.destroyed) return;
  const carrier = new TcpCarrier(socket);
  const from = clientAddress(socket.remoteAddress);
  if (door.reason !== undefined) carrier.close(0, door.reason);
  else if (!connections.hasRoom(from)) carrier.close(0, "no more connections are taken here");
  else attend(socket, carrier, connections.add(carrier, from));
}

class TcpCarrier implements Carrier {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  get isOpen(): boolean {
    return this.#socket.writable;
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength;
  }

  send(frame: Buffer): void {
    corkForTick(this.#socket);
    this.#socket.write(lengthPrefixed(frame));
  }

  ping(): void {
    this.#socket.write(lengthPrefixed(NO_BYTES));
  }

  close(_: number, reason: string): void {
    if (!this.isOpen) return;
    this.send(toBytes(encodeServerFrame, { id: 0, kind: { case: "leave", value: { reason } } }));
    endSoon(this.#socket);
  }

  terminate(): void {
    this.#socket.destroy();
  }
}

function attend(socket: Socket, carrier: TcpCarrier, connection: ClientConnection): void {
  const reader = new LengthPrefixedReader(FRAME_BYTES_MAX);
  let preambleLeft = PREAMBLE;
  socket.on("data", (chunk: Buffer) => {
    let bytes = chunk;
    if (preambleLeft.length > 0) {
      const length = Math.min(preambleLeft.length, bytes.length);
      if (!bytes.subarray(0, length).equals(preambleLeft.subarray(0, length))) {
        carrier.close(1002, "this is no version of the protocol that is spoken here");
        return;
      }
      preambleLeft = preambleLeft.subarray(length);
      bytes = bytes.subarray(length);
    }
    const frames = reader.push(bytes);
    if (frames === undefined) carrier.close(1009, `a frame has at most ${FRAME_BYTES_MAX} bytes`);
    for (const frame of frames ?? []) {
      if (frame.length === 0) connection.heard();
      else connection.received(Buffer.from(frame.buffer, frame.byteOffset, frame.length));
    }
    if (!reader.isBetween) connection.receiving();
  });
  socket.on("end", () => socket.end());
  socket.on("close", () => connection.ended());
  const leave = border.admit({
    hold: () => {
      socket.pause();
      socket.cork();
    },
    release: (isStale) => {
      if (isStale) {
        // What is in its buffers was given up long ago.
        socket.removeAllListeners("data");
        socket.destroy();
        return;
      }
      socket.uncork();
      socket.resume();
    },
  });
  socket.on("close", leave);
}
