import fc from "fast-check";
import { expect, test } from "vitest";
import { KeyIndex } from "./key-index.ts";

/** Few hashes, so that keys share them and probes run into each other, also around the array's end. */
const hashes = fc.oneof(fc.nat(5), fc.integer({ min: 1_018, max: 1_030 }), fc.nat());
const steps = fc.array(fc.record({ key: fc.nat(400), hash: hashes, remove: fc.boolean() }), {
  maxLength: 2_000,
  size: "max",
});

test("key index: finds what a map finds, also after removals in the middle of probes", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const keys: number[] = [];
      const index = new KeyIndex<number>((id, key) => keys[id] === key);
      const model = new Map<number, { id: number; hash: number }>();
      for (const { key, hash, remove } of all) {
        const there = model.get(key);
        if (there === undefined && !remove) {
          const id = keys.push(key) - 1;
          index.add(hash, id);
          model.set(key, { id, hash });
        } else if (there !== undefined && remove) {
          index.remove(there.hash, there.id);
          model.delete(key);
        }
      }
      expect(index.size).toBe(model.size);
      for (const { key, hash } of all) {
        const there = model.get(key);
        expect(index.find(there?.hash ?? hash, key)).toBe(there?.id ?? -1);
      }
    }),
    { numRuns: 50 },
  );
});
