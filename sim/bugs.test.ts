/**
 * The checkers notice every planted bug. Replayed are the recorded seeds; where a change of the store
 * has moved the histories, all others are tried too (`make sim-bugs` records anew).
 */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { BUGS } from "../services/kvsvr/protocol/planted.ts";
import { BUG_SEEDS_FILE, findSeed, needsSeveralFaults, SEARCH_SEEDS } from "./bugs.ts";

const seeds = JSON.parse(readFileSync(BUG_SEEDS_FILE, "utf8")) as Record<string, number>;

for (const bug of BUGS) {
  test(`planted bug: ${bug} is caught`, async () => {
    const recorded = seeds[bug]!;
    const caught = (await findSeed(bug, recorded)) ?? (await findSeed(bug, 1, recorded - 1));
    expect(caught, `not caught by seeds 1 to ${SEARCH_SEEDS}`).toBeDefined();
    if (caught!.seed !== recorded)
      console.log(
        `${bug}: caught by seed ${caught!.seed}, not by ${recorded} any more: make sim-bugs`,
      );
  }, 600_000);
}

test("planted bugs: at least 20, five of which need several faults", () => {
  expect(BUGS.length).toBeGreaterThanOrEqual(20);
  expect(BUGS.filter(needsSeveralFaults).length).toBeGreaterThanOrEqual(5);
});
