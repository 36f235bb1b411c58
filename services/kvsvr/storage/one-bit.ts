/**
 * Whether bytes whose CRC-32 is wrong are those that it was made of but for one bit. Pure.
 *
 * The checksum is linear: a flipped bit changes it by a value that depends on the bit's place alone, counted from
 * the end (Peterson and Brown, "Cyclic Codes for Error Detection", 1961). So no bit has to be tried: the
 * difference is looked for among those values. Of n other bits one in 2^32 / n is taken for such.
 */
import { crc32 } from "node:zlib";

/** The reversed polynomial of CRC-32 (ISO 3309), as zlib has it. */
const POLYNOMIAL = 0xedb88320;

/** What one byte adds when it is shifted through. */
const STEPS = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++)
    value = (value & 1) === 1 ? (value >>> 1) ^ POLYNOMIAL : value >>> 1;
  return value;
});

/** `wanted`: the checksum that was kept, which may have the wrong bit itself. False when nothing is wrong. */
export function isOneBitOff(bytes: Uint8Array, wanted: number): boolean {
  const difference = (crc32(bytes) ^ wanted) >>> 0;
  if (difference === 0) return false;
  if (isOneBit(difference)) return true;
  // Of each bit of a byte: first of the last byte's, then of the one before.
  const changes = Uint32Array.from({ length: 8 }, (_, bit) => STEPS[1 << bit]!);
  for (let at = bytes.length; at > 0; at--) {
    for (let bit = 0; bit < 8; bit++) {
      const change = changes[bit]!;
      if (change === difference) return true;
      changes[bit] = (change >>> 8) ^ STEPS[change & 0xff]!;
    }
  }
  return false;
}

export function isOneBit(difference: number): boolean {
  return difference !== 0 && (difference & (difference - 1)) === 0;
}
