/**
 * Operation ids: 16 bytes that stay the same over every attempt of one operation (S4).
 *
 *   6 bytes  milliseconds since 1970 at creation, big-endian
 *   6 bytes  random, drawn once a process
 *   4 bytes  counter of the process
 *
 * The time is in the id so that a store that has forgotten old ids can tell "never seen" from
 * "too old to know" without a clock of its own.
 */
import { randomBytes } from "./random.ts";

const OPERATION_ID_BYTES = 16;

const processPart = randomBytes(6);
let counter = randomBytes(4).readUInt32BE(0);

export function newOperationId(nowMs: number = Date.now()): Buffer {
  const id = Buffer.allocUnsafe(OPERATION_ID_BYTES);
  id.writeUIntBE(nowMs, 0, 6);
  processPart.copy(id, 6);
  counter = (counter + 1) >>> 0;
  id.writeUInt32BE(counter, 12);
  return id;
}
