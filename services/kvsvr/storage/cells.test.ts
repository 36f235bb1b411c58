import fc from "fast-check";
import { expect, test } from "vitest";
import { Cells } from "./cells.ts";

/** Sizes around the smallest and largest class, and blocks that are slabs of their own. */
const bytes = fc
  .oneof(fc.nat(200), fc.nat(2_000), fc.nat(40_000))
  .chain((size) => fc.nat(255).map((fill) => Buffer.alloc(size, fill)));

const actions = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant("put" as const), bytes }),
    fc.record({ do: fc.constant("replace" as const), bytes, which: fc.nat() }),
    fc.record({ do: fc.constant("free" as const), which: fc.nat() }),
  ),
  { maxLength: 300, size: "max" },
);

test("cells: every block holds what was put into it last, whatever is put, replaced and freed", () => {
  fc.assert(
    fc.property(actions, (steps) => {
      const cells = new Cells();
      const model = new Map<number, Buffer>();
      for (const step of steps) {
        if (step.do === "put") model.set(cells.put(step.bytes), step.bytes);
        else if (model.size > 0) {
          const reference = [...model.keys()][step.which % model.size]!;
          model.delete(reference);
          if (step.do === "free") cells.free(reference);
          else model.set(cells.replace(reference, step.bytes), step.bytes);
        }
      }
      for (const [reference, held] of model) {
        expect(cells.view(reference).equals(held)).toBe(true);
        expect(cells.bufferOf(reference).readUInt8(cells.startOf(reference) - 4)).toBe(
          held.length & 0xff,
        );
      }
    }),
    { numRuns: 100 },
  );
});

test("cells: blocks waste little, and what all of them leave is given back", () => {
  const cells = new Cells();
  const held = Array.from({ length: 5_000 }, (_, i) => cells.put(Buffer.alloc(300 + (i % 100))));
  const payload = held.reduce((sum, reference) => sum + cells.view(reference).length, 0);
  expect(cells.bytes / payload).toBeLessThan(1.4);
  for (const reference of held) cells.free(reference);
  // A slab a class is kept for the next one.
  expect(cells.bytes).toBeLessThan(payload / 2);
  for (let round = 0; round < 50; round++) cells.free(cells.put(Buffer.alloc(1_000_000)));
  let moved = cells.put(Buffer.alloc(10));
  for (let round = 0; round < 5_000; round++)
    moved = cells.replace(moved, Buffer.alloc(round % 2 === 0 ? 100 : 2_000));
  // One a class that was used.
  expect(cells.bytes).toBeLessThanOrEqual(7 * 256 * 1024);
});
