/** Random bytes: the system's, unless a simulation has put its own seeded source in their place. */
import { randomFillSync } from "node:crypto";

type Fill = (bytes: Uint8Array) => void;

const systemFill: Fill = (bytes) => {
  randomFillSync(bytes);
};
let fill = systemFill;

export function randomBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  fill(bytes);
  return bytes;
}

/** Only for simulations; undefined puts the system's back. */
export function setRandomSource(source: Fill | undefined): void {
  fill = source ?? systemFill;
}
