/** Ends a socket behind what was written to it; who does not end its side, too, is held for a moment only. */
import type { Socket } from "node:net";
import { FIRST_BYTE_TIMEOUT_MS } from "./limits.ts";

export function endSoon(socket: Socket, lastWords = ""): void {
  const giveUp = setTimeout(() => socket.destroy(), FIRST_BYTE_TIMEOUT_MS);
  giveUp.unref();
  socket.once("close", () => clearTimeout(giveUp));
  socket.end(lastWords);
  // Its end of the stream is only seen behind what it still sends.
  socket.resume();
}
