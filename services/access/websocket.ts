/** The long way in: upgrades GET /v1/connect on the HTTP port to a WebSocket. */
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { Connections } from "./connections.ts";
import type { Door } from "./door.ts";
import { FRAME_BYTES_MAX } from "./limits.ts";
import { silenceWhenCut, whenJoined } from "./silence.ts";

const PATH = "/v1/connect";

export function acceptWebSockets(server: Server, connections: Connections, door: Door): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
    clientTracking: false,
  });
  const upgrade = async (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (await whenJoined()) socket.destroy();
    if (socket.destroyed) return;
    const refusal = refuse(request, connections, door);
    if (refusal !== undefined) {
      socket.end(refusal);
      return;
    }
    webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      socket.setNoDelay(true);
      connections.add(webSocket, socket);
      silenceWhenCut(webSocket, socket);
    });
  };
  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    upgrade(request, socket as Socket, head).catch(() => socket.destroy());
  });
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
  return connections.hasRoom ? undefined : answer("503 Service Unavailable", "");
}

function answer(status: string, text: string): string {
  const head = `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(text)}`;
  return `HTTP/1.1 ${status}\r\nConnection: close\r\n${head}\r\n\r\n${text}`;
}
