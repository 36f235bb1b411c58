/** Gathers what is written to a socket in one tick into one system call. */
import type { Socket } from "node:net";

let corked = new Set<Socket>();

export function corkForTick(socket: Socket): void {
  if (corked.has(socket)) return;
  if (corked.size === 0) setImmediate(uncorkAll);
  corked.add(socket);
  socket.cork();
}

function uncorkAll(): void {
  const sockets = corked;
  corked = new Set();
  for (const socket of sockets) socket.uncork();
}
