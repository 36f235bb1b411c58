/** The long way in: upgrades GET /v1/connect on the HTTP port to a WebSocket. */
import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { Connections } from "./connections.ts";
import { FRAME_BYTES_MAX } from "./limits.ts";
import { silenceWhenCut, whenJoined } from "./silence.ts";

const PATH = "/v1/connect";

export function acceptWebSockets(server: Server, connections: Connections): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: FRAME_BYTES_MAX,
    perMessageDeflate: false,
    clientTracking: false,
  });
  const upgrade = async (request: IncomingMessage, socket: Socket, head: Buffer) => {
    if (await whenJoined()) socket.destroy();
    if (socket.destroyed) return;
    const refusal = refuse(request, connections);
    if (refusal !== undefined) {
      socket.end(`HTTP/1.1 ${refusal}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
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

function refuse(request: IncomingMessage, connections: Connections): string | undefined {
  const path = (request.url ?? "").split("?")[0];
  if (path !== PATH) return "404 Not Found";
  return connections.hasRoom ? undefined : "503 Service Unavailable";
}
