/**
 * How the client side falls silent when this campus is cut off (svrkit/transport/border.ts). Open
 * WebSockets stop reading and writing; HTTP requests and new WebSockets get no answer until the
 * campus joins again.
 */
import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { border } from "../svrkit/transport/border.ts";

/** Resolves at once, or when the campus joins again; true: nobody waits for an answer any more. */
export function whenJoined(): Promise<boolean> {
  if (!border.isCut) return Promise.resolve(false);
  return new Promise((resolve) => {
    const leave = border.admit({
      hold: () => {},
      release: (isStale) => {
        leave();
        resolve(isStale);
      },
    });
  });
}

/** Puts an open WebSocket and its raw socket under the border's control, until it closes. */
export function silenceWhenCut(webSocket: WebSocket, socket: Socket): void {
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
