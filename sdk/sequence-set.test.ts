import fc from "fast-check";
import { expect, test } from "vitest";
import { SequenceSet } from "./sequence-set.ts";

test("sequence set: answers like a plain set, whatever the order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 120 }), (numbers) => {
      const set = new SequenceSet();
      const plain = new Set<number>();
      for (const number of numbers) {
        expect(set.add(number)).toBe(!plain.has(number));
        plain.add(number);
      }
    }),
    { numRuns: 500 },
  );
});
