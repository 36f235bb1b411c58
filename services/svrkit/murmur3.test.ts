import { expect, test } from "vitest";
import { murmur3 } from "./murmur3.ts";

test("murmur3: published vectors", () => {
  expect(murmur3(Buffer.from(""), 0)).toBe(0);
  expect(murmur3(Buffer.from(""), 1)).toBe(0x514e28b7);
  expect(murmur3(Buffer.from("test"), 0)).toBe(0xba6bd213);
  expect(murmur3(Buffer.from("Hello, world!"), 0)).toBe(0xc0363e43);
  expect(murmur3(Buffer.from("The quick brown fox jumps over the lazy dog"), 0)).toBe(0x2e4ff723);
});
