import { expect, test } from "vitest";
import { CANARY, FUZZERS, runRounds } from "./fuzzers.ts";
import { MESSAGES } from "./messages.ts";

/** Enough to notice a reader that is broken; `make fuzz` looks for more. */
const ROUNDS: Readonly<Record<string, number>> = { messages: 600, session: 150, tickets: 150 };

test.each(Object.keys(FUZZERS))("fuzz: %s, a few hundred rounds", async (name) => {
  await runRounds(name, 1, ROUNDS[name] ?? 300);
});

test("fuzz: messages are those of all .proto files", () => {
  expect(MESSAGES).toBeGreaterThan(200);
});

test("fuzz: a round that fails is told with what repeats it", async () => {
  await expect(runRounds(CANARY, 1, 1_000)).rejects.toThrow(
    /^canary, round \d+: the canary fails.*--only canary --round \d+$/s,
  );
  await expect(runRounds("nothing", 1, 1)).rejects.toThrow('no fuzzer "nothing"');
});
