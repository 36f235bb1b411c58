import { expect, test } from "vitest";
import { Gate } from "./gate.ts";

/** Runs pieces of these weights; the weight under way whenever one began, and the order they began in. */
async function rush(gate: Gate, weights: readonly number[], fails: readonly number[] = []) {
  let underWay = 0;
  const begun: { piece: number; underWay: number }[] = [];
  const settled = await Promise.allSettled(
    weights.map((weight, piece) =>
      gate.run(weight, async () => {
        underWay += weight;
        begun.push({ piece, underWay });
        await new Promise((resolve) => setTimeout(resolve, 1));
        underWay -= weight;
        if (fails.includes(piece)) throw new Error("lost");
      }),
    ),
  );
  return { begun, failed: settled.filter((s) => s.status === "rejected").length };
}

test("gate: so much at once, in order, a failure frees its place", async () => {
  const { begun, failed } = await rush(new Gate({ min: 2, max: 2 }), [1, 1, 1, 1, 1], [1]);
  expect(begun.map((b) => b.piece)).toEqual([0, 1, 2, 3, 4]);
  expect(Math.max(...begun.map((b) => b.underWay))).toBe(2);
  expect(failed).toBe(1);
});

test("gate: the last one let in may be heavier than what is free, and holds the next ones up", async () => {
  const { begun } = await rush(new Gate({ min: 10, max: 10 }), [9, 30, 1, 1]);
  expect(begun.map((b) => b.underWay)).toEqual([9, 39, 1, 2]);
});

test("gate: as much room after a rush as before it", async () => {
  const gate = new Gate({ min: 2, max: 2 });
  for (let time = 0; time < 3; time++) {
    const { begun } = await rush(gate, [1, 1, 1, 1, 1, 1]);
    expect(Math.max(...begun.map((b) => b.underWay))).toBe(2);
  }
});

test("gate: what waits on widens it round after round, once it is quick again", async () => {
  const gate = new Gate({ min: 2, max: 64 });
  const lasting = (ms: number) => () => new Promise((resolve) => setTimeout(resolve, ms));
  // Slow for five rounds: down to two at once.
  for (let round = 0; round < 6; round++) await gate.run(1, lasting(200));
  let underWay = 0;
  let most = 0;
  const quick = async () => {
    most = Math.max(most, ++underWay);
    await lasting(20)();
    underWay -= 1;
  };
  await Promise.all(Array.from({ length: 200 }, () => gate.run(1, quick)));
  expect(most).toBeGreaterThan(8);
});
