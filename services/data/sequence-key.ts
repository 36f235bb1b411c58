/**
 * Row keys that end in a number, 8 bytes big-endian, so that the store's key order is the order of
 * the numbers. The store writes the same form when it numbers an appended row.
 */
const NUMBER_BYTES = 8;
const HIGH = 2 ** 32;

export function sequenceKey(prefix: Uint8Array, sequence: number): Buffer {
  const key = Buffer.allocUnsafe(prefix.length + NUMBER_BYTES);
  key.set(prefix);
  key.writeUInt32BE(Math.floor(sequence / HIGH), prefix.length);
  key.writeUInt32BE(sequence % HIGH, prefix.length + 4);
  return key;
}

export function sequenceOf(key: Uint8Array): number {
  const at = key.length - NUMBER_BYTES;
  const view = Buffer.from(key.buffer, key.byteOffset, key.byteLength);
  return view.readUInt32BE(at) * HIGH + view.readUInt32BE(at + 4);
}
