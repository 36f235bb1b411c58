/** Promises 1, 2 and 3 and rules S1-S9 under simulated faults, and that a seed is a whole run. */
import { expect, test } from "vitest";
import { runSeeds } from "./campaign.ts";
import { formatHistory, isOperation } from "./history.ts";
import { DEFAULT_OPTIONS, MOVING_OPTIONS } from "./options.ts";
import { run } from "./run.ts";

const SEEDS = 200;
const SEEDS_A_TEST = 50;

for (let first = 1; first <= SEEDS; first += SEEDS_A_TEST) {
  test(`simulation: no promise is broken (seeds ${first} to ${first + SEEDS_A_TEST - 1})`, async () => {
    const { broken } = await runSeeds({ first, end: first + SEEDS_A_TEST, step: 1 });
    expect(broken.map(({ seed, violations }) => `make sim SEED=${seed}: ${violations[0]}`)).toEqual(
      [],
    );
  }, 240_000);
}

test("simulation: the same seed is the same history, byte for byte", async () => {
  const [one, , again] = [
    await run(7, DEFAULT_OPTIONS),
    await run(8, DEFAULT_OPTIONS),
    await run(7, DEFAULT_OPTIONS),
  ];
  expect(formatHistory(again.history)).toBe(formatHistory(one.history));
  expect(again.story).toEqual(one.story);
});

test("simulation: slots move between two groups during all that, the same way every time", async () => {
  const [one, again] = [await run(9, MOVING_OPTIONS), await run(9, MOVING_OPTIONS)];
  expect(one.violations).toEqual([]);
  expect(one.faults.slotMove).toBeGreaterThan(1);
  expect(formatHistory(again.history)).toBe(formatHistory(one.history));
}, 240_000);

test("simulation: a run is 300 operations at least, with a crash and a partition", async () => {
  for (const seed of [1, 2, 3]) {
    const { faults, history } = await run(seed, DEFAULT_OPTIONS);
    expect(history.filter(isOperation).length).toBeGreaterThanOrEqual(300);
    expect((faults["kill"] ?? 0) + (faults["power"] ?? 0)).toBeGreaterThan(0);
    expect(faults["partition"]).toBeGreaterThan(0);
  }
});
