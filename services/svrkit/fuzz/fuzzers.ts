/**
 * Everything that reads bytes from outside, each with what must hold whatever comes. A fuzzer does one
 * round with a random source of its own and throws when something does not hold; a round is repeated from
 * its seed alone. "canary" fails at times, on purpose: it tells a fuzzer that works from one that
 * has silently stopped to.
 */
import assert from "node:assert/strict";
import { Random } from "../seeded-random.ts";
import { fuzzFrames, fuzzSession } from "./frames.ts";
import { fuzzMessages } from "./messages.ts";
import { fuzzPoints } from "./points.ts";
import { fuzzSnapshots, fuzzTickets } from "./tickets.ts";

export type Fuzzer = (random: Random) => void | Promise<void>;

export const FUZZERS: Readonly<Record<string, Fuzzer>> = {
  frames: fuzzFrames,
  session: fuzzSession,
  messages: fuzzMessages,
  tickets: fuzzTickets,
  snapshots: fuzzSnapshots,
  points: fuzzPoints,
};

export const CANARY = "canary";

function fuzzCanary(random: Random): void {
  assert(random.index(50) > 0, "the canary fails at one round in fifty");
}

/** Rounds `first` to `first + rounds - 1`; throws with what repeats the round that failed. */
export async function runRounds(name: string, first: number, rounds: number): Promise<void> {
  const fuzz = name === CANARY ? fuzzCanary : FUZZERS[name];
  if (fuzz === undefined) throw new Error(`there is no fuzzer "${name}"`);
  for (let round = first; round < first + rounds; round++) {
    try {
      await fuzz(new Random(round, name));
    } catch (error) {
      const again = `node services/svrkit/fuzz/main.ts --only ${name} --round ${round}`;
      throw new Error(`${name}, round ${round}: ${(error as Error).message}\n  again: ${again}`, {
        cause: error,
      });
    }
  }
}
