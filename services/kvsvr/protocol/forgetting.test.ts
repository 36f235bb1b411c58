/** S5: which tombstones are forgotten together, and how an attempt ends. */
import { expect, test } from "vitest";
import {
  type ForgetReply,
  ForgetOutcomeOutcome as Outcome,
} from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { sealDecision } from "./decision.ts";
import { type Batch, floorAbove, Gathering, outcomeOf, whyNot } from "./forgetting.ts";
import { packOperations } from "./operations.ts";
import { EMPTY_REGISTER, type Register, step } from "./register.ts";

const NOW_MS = 1_000_000;

function idMadeAt(ms: number): Buffer {
  const id = Buffer.alloc(16);
  id.writeUIntBE(ms, 0, 6);
  return id;
}

function keyAt(version: number, deleted: boolean, ms: number): Register {
  const operations = packOperations([{ id: idMadeAt(ms), version, reply: NO_BYTES }]);
  const value = { deleted, value: NO_BYTES, operations };
  const owner = { replica: 0, incarnation: 1 };
  const decision = sealDecision(version, owner, { case: "key", value });
  return step(EMPTY_REGISTER, { kind: "learn", decision }).register;
}

/** A register key: keyspace, slot, length, name. */
function named(keyspace: number, slot: number, name: string): Buffer {
  return Buffer.from([keyspace, slot >> 8, slot & 0xff, name.length, ...Buffer.from(name)]);
}

function gather(
  listed: readonly (readonly [Buffer, Register])[],
  isOwned: (slot: number) => boolean = () => true,
): Batch[] {
  const gathering = new Gathering(NOW_MS, ({ first, last }) => {
    for (let slot = first; slot <= last; slot++) if (!isOwned(slot)) return false;
    return true;
  });
  const batches = listed.map(([name, register]) => gathering.add(name, register));
  return [...batches, gathering.end()].filter((batch) => batch !== undefined);
}

test("S5: old tombstones of one keyspace are gathered, above the highest of their versions", () => {
  const batches = gather([
    [named(1, 3, "a"), keyAt(4, true, NOW_MS - 10)],
    [named(1, 3, "b"), keyAt(9, false, NOW_MS - 10)], // alive
    [named(1, 5, "c"), keyAt(6, true, NOW_MS - 30)],
    [named(1, 9, "d"), keyAt(8, true, NOW_MS + 1)], // its ids may still be asked for
    [named(2, 1, "e"), keyAt(2, true, 0)],
  ]);
  expect(batches.map(({ span, floor }) => ({ span, floor }))).toEqual([
    {
      span: { keyspace: 1, first: 3, last: 5 },
      floor: { version: 7, forgottenMs: NOW_MS - 10 },
    },
    { span: { keyspace: 2, first: 1, last: 1 }, floor: { version: 3, forgottenMs: 0 } },
  ]);
  expect(batches[0]!.keys.map(({ version }) => version)).toEqual([4, 6]);
});

test("S5: what is known and not held, or may be changing, is no tombstone", () => {
  const tombstone = keyAt(4, true, 0);
  const behind = step(tombstone, { kind: "notice", version: 5, digest: 77 }).register;
  const next = sealDecision(
    5,
    { replica: 1, incarnation: 1 },
    { case: "key", value: { deleted: false, value: NO_BYTES, operations: undefined } },
  );
  const ballot = { round: 1, proposer: 5 };
  const baseDigest = tombstone.known.digest;
  const changing = step(tombstone, { kind: "accept", ballot, decision: next, baseDigest }).register;
  expect(
    gather([
      [named(1, 1, "a"), behind],
      [named(1, 1, "b"), changing],
    ]),
  ).toEqual([]);
  // A promise alone binds nobody to anything.
  const promised = step(tombstone, { kind: "prepare", version: 5, ballot, baseDigest }).register;
  expect(gather([[named(1, 1, "a"), promised]])).toHaveLength(1);
});

test("S5: slots of others lie in no batch, and a full one is followed by the next", () => {
  const holes = gather(
    [1, 2, 3, 4].map((slot) => [named(1, slot, "a"), keyAt(1, true, 0)] as const),
    (slot) => slot !== 2,
  );
  expect(holes.map(({ span }) => [span.first, span.last])).toEqual([
    [1, 1],
    [3, 4],
  ]);
  const many = Array.from({ length: 2_500 }, (_, i) => {
    return [named(1, i, `k${i}`), keyAt(1, true, 0)] as const;
  });
  const batches = gather(many);
  expect(batches.map(({ keys }) => keys.length)).toEqual([1_000, 1_000, 500]);
  const sparse = Array.from({ length: 12_000 }, (_, i) => {
    return [named(1, i >> 2, `k${i}`), keyAt(1, i % 4_000 === 0, 0)] as const;
  });
  // Each attempt lists all keys of its slots while some are frozen.
  expect(gather(sparse).map(({ keys }) => keys.length)).toEqual([2, 1]);
});

test("S5: no floor falls", () => {
  const span = { keyspace: 1, first: 0, last: 9 };
  const before = [
    { ...span, version: 12, forgottenMs: 3 },
    { ...span, version: 5, forgottenMs: 9 },
  ];
  const floor = { version: 7, forgottenMs: 5 };
  expect(floorAbove(floor, before)).toEqual({ version: 12, forgottenMs: 9 });
  expect(floorAbove(floor, [])).toEqual(floor);
});

const ready = (digest: number): ForgetReply => ({ refused: "", number: 1, digest, names: 3 });
const refusing = (refused: string): ForgetReply => ({ refused, number: 0, digest: 0, names: 0 });

test.each([
  ["all three are the same", [ready(5), ready(5), ready(5)], undefined],
  [
    "one holds other keys",
    [ready(5), ready(5), ready(6)],
    "the replicas do not hold the same keys",
  ],
  [
    "one does not answer, or knows no such call",
    [ready(5), ready(5), undefined],
    "not all three replicas answer",
  ],
  ["one refuses", [ready(5), refusing("it catches up"), undefined], "it catches up"],
])("S5: an attempt is committed or not: %s", (_, replies, why) => {
  expect(whyNot(replies)).toBe(why);
});

test.each([
  ["this attempt's", { number: 4, outcome: Outcome.COMMITTED }, "committed"],
  ["this attempt's", { number: 4, outcome: Outcome.ABORTED }, "aborted"],
  ["this attempt's", { number: 4, outcome: Outcome.OPEN }, "open"],
  // The next begins when all three have heard: this one was not counted.
  ["a later attempt's", { number: 5, outcome: Outcome.COMMITTED }, "aborted"],
  ["an older one: the row was lost", { number: 3, outcome: Outcome.COMMITTED }, "lost"],
])("S5: a replica that has frozen something reads the row: %s (%o)", (_, row, outcome) => {
  expect(outcomeOf(row, 4)).toBe(outcome);
});
