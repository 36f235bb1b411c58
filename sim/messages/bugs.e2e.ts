/** The ledger notices every bug planted in the way of messages; recorded seeds first, then those behind. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { MESSAGE_BUGS } from "../../services/svrkit/planted.ts";
import { BUG_SEEDS_FILE, findSeed, SEARCH_SEEDS } from "./bugs.ts";
import { runMessages } from "./run.ts";

const seeds = JSON.parse(readFileSync(BUG_SEEDS_FILE, "utf8")) as Record<string, number>;

for (const bug of MESSAGE_BUGS) {
  test(`planted in messages: ${bug} is caught`, async () => {
    const caught = await findSeed(bug, seeds[bug] ?? 1);
    expect(caught, `not caught within ${SEARCH_SEEDS} seeds`).toBeDefined();
  }, 600_000);
}

test("messages: 20 seeds break no promise", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { violations } = await runMessages(seed);
    expect(violations, `make sim-messages SEED=${seed}`).toEqual([]);
  }
}, 900_000);
