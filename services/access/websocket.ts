/**
 * The long way in of browsers: upgrades GET /v1/connect on the client port to a WebSocket. Frames of
 * COMPRESS_FROM_BYTES and more are compressed for clients that offer it, each on its own: what a shared
 * window would save is not worth the memory that it would hold for every idle connection.
 */
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { border } from "../svrkit/transport/border.ts";
import type { Carrier } from "./carrier.ts";
import { clientAddress } from "./client-address.ts";
import type { Connections } from "./connections.ts";
import { corkForTick } from "./cork.ts";
import type { Door } from "./door.ts";
import { endSoon } from "./last-words.ts";
import { COMPRESS_FROM_BYTES, FRAME_BYTES_MAX } from "./limits.ts";
import { whenJoined } from "./silence.ts";

const PATH = "/v1/connect";
const COMPRESSION = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  threshold: COMPRESS_FROM_BYTES,
  zlibDeflateOptions: { level: 1 },
};

export function acceptWebSockets(server: Server, connections: Connections, door: Door): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: COMPRESSION,
    clientTracking: false,
  });
  const upgrade = async (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (await whenJoined()) socket.destroy();
    if (socket.destroyed) return;
    const refusal = refuse(request, connections, door);
    if (refusal !== undefined) {
      endSoon(socket, refusal);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      socket.setNoDelay(true);
      attend(webSocket, socket, connections);
    });
  };
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    upgrade(request, socket as Socket, head).catch(() => socket.destroy());
  });
}

class WebSocketCarrier implements Carrier {
  readonly #webSocket: WebSocket;
  readonly #socket: Socket;

  constructor(webSocket: WebSocket, socket: Socket) {
    this.#webSocket = webSocket;
    this.#socket = socket;
  }

  get isOpen(): boolean {
    return this.#webSocket.readyState === this.#webSocket.OPEN;
  }

  get bufferedBytes(): number {
    return this.#webSocket.bufferedAmount;
  }

  send(frame: Buffer): void {
    corkForTick(this.#socket);
    this.#webSocket.send(frame);
  }

  ping(): void {
    this.#webSocket.ping();
  }

  close(code: number, reason: string): void {
    this.#webSocket.close(code, reason);
  }

  terminate(): void {
    this.#webSocket.terminate();
  }
}

function attend(webSocket: WebSocket, socket: Socket, connections: Connections): void {
  const from = clientAddress(socket.remoteAddress);
  const connection = connections.add(new WebSocketCarrier(webSocket, socket), from);
  let isWhole = false;
  webSocket.on("message", (data, isBinary) => {
    isWhole = true;
    connection.received(isBinary ? (data as Buffer) : undefined);
  });
  // Frames of their own, as WebSockets have them: of ours nothing has come.
  for (const sign of ["ping", "pong"])
    webSocket.on(sign, () => {
      isWhole = true;
      connection.heard();
    });
  // Behind the listener of the WebSocket, which takes the frames that are whole.
  socket.on("data", () => {
    if (!isWhole) connection.receiving();
    isWhole = false;
  });
  // "close" follows every error; a frame over the limit ends here, with code 1009 to the client.
  webSocket.on("error", () => {});
  webSocket.on("close", () => connection.ended());
  const leave = border.admit({
    hold: () => {
      webSocket.pause();
      socket.cork();
    },
    release: (isStale) => {
      if (isStale) {
        // Ending it would still deliver what is in its buffers: syncs and sends long given up.
        webSocket.removeAllListeners("message");
        webSocket.terminate();
        return;
      }
      socket.uncork();
      webSocket.resume();
    },
  });
  webSocket.on("close", leave);
}

/** The answer to who is not let in; undefined for everybody else. */
function refuse(
  request: IncomingMessage,
  connections: Connections,
  door: Door,
): string | undefined {
  const path = (request.url ?? "").split("?")[0];
  if (path !== PATH) return answer("404 Not Found", "");
  if (door.reason !== undefined) return answer("503 Service Unavailable", `${door.reason}\n`);
  const from = clientAddress(request.socket.remoteAddress);
  return connections.hasRoom(from) ? undefined : answer("503 Service Unavailable", "");
}

function answer(status: string, text: string): string {
  const head = `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}`;
  return `HTTP/1.1 ${status}\r\nConnection: close\r\n${head}\r\n\r\n${text}`;
}
