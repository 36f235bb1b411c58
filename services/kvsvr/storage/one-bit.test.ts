import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import { Random } from "../../svrkit/seeded-random.ts";
import { isOneBitOff } from "./one-bit.ts";

const random = new Random(7, "one bit");
const some = Buffer.from(Array.from({ length: 300 }, () => random.index(256)));
const sum = crc32(some);

function flipped(...bits: readonly number[]): Buffer {
  const copy = Buffer.from(some);
  for (const bit of bits) copy[bit >> 3]! ^= 1 << (bit & 7);
  return copy;
}

test("S3: every single bit that flips is known, one of the checksum too, and nothing that is whole", () => {
  expect(isOneBitOff(some, sum)).toBe(false);
  for (let bit = 0; bit < 8 * some.length; bit++)
    expect(isOneBitOff(flipped(bit), sum), `bit ${bit}`).toBe(true);
  for (let bit = 0; bit < 32; bit++) expect(isOneBitOff(some, (sum ^ (1 << bit)) >>> 0)).toBe(true);
});

test("S3: what was torn is not taken for one bit: zeros, other bytes, two bits", () => {
  for (let from = 0; from < some.length - 1; from++) {
    const zeros = Buffer.from(some).fill(0, from);
    expect(isOneBitOff(zeros, sum)).toBe(false);
    const others = Buffer.from(zeros.map((byte, at) => (at < from ? byte : random.index(256))));
    expect(isOneBitOff(others, sum)).toBe(false);
  }
  for (let i = 0; i < 300; i++) {
    const [one, other] = [random.index(2_400), random.index(2_400)];
    if (one !== other) expect(isOneBitOff(flipped(one, other), sum)).toBe(false);
  }
});
