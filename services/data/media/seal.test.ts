import { expect, test } from "vitest";
import { UrlSealer } from "./seal.ts";

const sealed = { mediaId: "a".repeat(64), thumbnail: false, expiresAtMs: 1_000 };
const at = (nowMs: number, key = "k") => new UrlSealer(Buffer.from(key), () => nowMs);
const seal = at(0).seal(sealed);

test("seal: a URL is good until its time is over", () => {
  expect(() => at(999).check(sealed, seal)).not.toThrow();
  expect(() => at(1_000).check(sealed, seal)).toThrow(/1970-01-01T00:00:01.000Z/);
});

test.each([
  ["another medium", { ...sealed, mediaId: "b".repeat(64) }],
  ["the whole instead of the thumbnail", { ...sealed, thumbnail: true }],
  ["a longer time", { ...sealed, expiresAtMs: 2_000 }],
])("seal: a URL that was changed is refused (%s)", (_, changed) => {
  expect(() => at(0).check(changed, seal)).toThrow(/not one of ours/);
});

test("seal: a seal that is cut, flipped, or of another key is refused", () => {
  const flipped = Buffer.from(seal);
  flipped[3] = flipped[3]! ^ 1;
  for (const wrong of [seal.subarray(1), Buffer.alloc(0), flipped]) {
    expect(() => at(0).check(sealed, wrong)).toThrow(/not one of ours/);
  }
  expect(() => at(0, "other").check(sealed, seal)).toThrow(/not one of ours/);
});
