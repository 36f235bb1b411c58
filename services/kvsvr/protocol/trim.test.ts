import { expect, test } from "vitest";
import type { Trim } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { innerKey } from "./table.ts";
import { forgottenThrough, isForgotten, ROW_CLASS, withTrim, withTrims } from "./trim.ts";

const trim = (rowPrefix: string, throughVersion: number, appendIds = false): Trim => ({
  rowPrefix: new Uint8Array(Buffer.from(rowPrefix)),
  throughVersion,
  appendIds,
});
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const row = (name: string) => innerKey(ROW_CLASS.row, Buffer.from(name));

test("S8: a trim covers rows under its prefix, through its version, and no marks or ids", () => {
  const trims = withTrim([], trim("m/", 3));
  expect(isForgotten(trims, row("m/1"), 3)).toBe(true);
  expect(isForgotten(trims, row("m/1"), 4)).toBe(false);
  expect(isForgotten(trims, row("m"), 1)).toBe(false);
  const all = withTrim(trims, trim("", 9));
  expect(isForgotten(all, row("u/1"), 9)).toBe(true);
  for (const other of [ROW_CLASS.mark, ROW_CLASS.appended])
    expect(isForgotten(all, innerKey(other, Buffer.from("m/1")), 1)).toBe(false);
  const ids = withTrim([], trim("", 2, true));
  expect(isForgotten(ids, innerKey(ROW_CLASS.appended, Buffer.from("id")), 2)).toBe(true);
  expect(isForgotten(ids, innerKey(ROW_CLASS.mark, Buffer.from("id")), 1)).toBe(false);
});

test("S8: a trim that adds nothing changes nothing, one that includes others replaces them", () => {
  const trims = withTrims([], [trim("m/", 3), trim("u/", 5)]);
  expect(withTrim(trims, trim("m/x", 3))).toBe(trims);
  expect(withTrim(trims, trim("m/", 2))).toBe(trims);
  expect(withTrim(trims, trim("", 4))).toEqual([trim("u/", 5), trim("", 4)]);
  expect(withTrim(trims, trim("", 5))).toEqual([trim("", 5)]);
});

test("S8: however trims come, what is forgotten is what any of them forgets (random)", () => {
  const prefixes = ["", "a", "b", "ab", "abc", "ba"];
  const names = ["a", "b", "ab", "abc", "abcd", "ba", "c"];
  let seed = 1;
  const next = (below: number) => {
    seed = (seed * 48_271) % 0x7fffffff;
    return seed % below;
  };
  for (let round = 0; round < 500; round++) {
    const asked = Array.from({ length: next(6) }, () => {
      return trim(prefixes[next(prefixes.length)]!, next(10), next(4) === 0);
    });
    const kept = withTrims([], asked);
    for (const name of names) {
      for (let version = 1; version < 11; version++) {
        const slow = asked.some(
          (t) => !t.appendIds && name.startsWith(text(t.rowPrefix)) && version <= t.throughVersion,
        );
        expect(isForgotten(kept, row(name), version)).toBe(slow);
      }
    }
    for (const prefix of prefixes) {
      const slow = asked.filter((t) => !t.appendIds && prefix.startsWith(text(t.rowPrefix)));
      const through = Math.max(0, ...slow.map((t) => t.throughVersion));
      expect(forgottenThrough(kept, trim(prefix, 0))).toBe(through);
    }
  }
});
