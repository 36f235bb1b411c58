/**
 * Proof that the ledger notices: every bug planted in the way of messages (services/svrkit/planted.ts) with
 * a seed under which it is reported. bugs.e2e.ts replays them; `node sim/messages/main.ts --bugs` looks anew.
 */
import { join } from "node:path";
import { type MessageBug, plantMessageBug } from "../../services/svrkit/planted.ts";
import type { MessageFaultWeights } from "./faults.ts";
import { MESSAGE_OPTIONS, type MessageOptions, type MessageOutcome, runMessages } from "./run.ts";

export const SEARCH_SEEDS = 100;
/** Bug -> seed under which it was caught. */
export const BUG_SEEDS_FILE = join(import.meta.dirname, "testdata", "bug-seeds.json");

/** Faults without which a bug hardly ever shows. */
const NEEDED_FAULTS: Partial<Record<MessageBug, MessageFaultWeights>> = {
  "delivered-too-early": { kill: 30, power: 15 },
};

function optionsFor(bug: MessageBug): MessageOptions {
  return { ...MESSAGE_OPTIONS, faults: NEEDED_FAULTS[bug] ?? {} };
}

async function runWith(bug: MessageBug, seed: number): Promise<MessageOutcome> {
  plantMessageBug(bug);
  try {
    return await runMessages(seed, optionsFor(bug));
  } finally {
    plantMessageBug(undefined);
  }
}

export interface Caught {
  readonly seed: number;
  readonly checkers: readonly string[];
  readonly message: string;
}

/** The first seed from `first` on under which the ledger reports the bug, and nothing without it. */
export async function findSeed(bug: MessageBug, first: number): Promise<Caught | undefined> {
  for (let seed = first; seed < first + SEARCH_SEEDS; seed++) {
    const { violations } = await runWith(bug, seed);
    // That something failed or never ended is not the ledger's merit.
    const ledger = violations.filter(({ key }) => key !== "");
    if (ledger.length === 0) continue;
    const { violations: anyway } = await runMessages(seed, optionsFor(bug));
    if (anyway.length > 0) throw new Error(`seed ${seed} breaks a promise without ${bug} too`);
    const checkers = [...new Set(ledger.map(({ checker }) => checker))];
    return { seed, checkers, message: ledger[0]!.message };
  }
  return undefined;
}
