/** Bytes that are nearly right: what tells careful readers from others. */
import type { Random } from "../seeded-random.ts";

const EDGES = [0x00, 0x01, 0x7f, 0x80, 0xff];
const INSERTED_MAX = 16;

/** One to four small changes of a copy. */
export function mutated(random: Random, bytes: Uint8Array): Buffer {
  let changed = Buffer.from(bytes);
  for (let left = 1 + random.index(4); left > 0; left--) changed = changedOnce(random, changed);
  return changed;
}

function changedOnce(random: Random, bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  if (bytes.length === 0) return randomBytes(random, 1 + random.index(INSERTED_MAX));
  const at = random.index(bytes.length);
  switch (random.index(6)) {
    case 0:
      bytes[at]! ^= 1 << random.index(8);
      return bytes;
    case 1:
      bytes[at] = random.pick(EDGES);
      return bytes;
    case 2:
      return bytes.subarray(0, at);
    case 3: {
      const inserted = randomBytes(random, 1 + random.index(INSERTED_MAX));
      return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
    }
    case 4: {
      const end = at + random.index(bytes.length - at + 1);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
    }
    default: {
      const from = random.index(bytes.length);
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(from)]);
    }
  }
}

export function randomBytes(random: Random, length: number): Buffer<ArrayBuffer> {
  const bytes = Buffer.alloc(length);
  random.fill(bytes);
  return bytes;
}
