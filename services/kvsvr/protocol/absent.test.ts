/** S5: keys without a record are registers at their slot's floor. */
import { expect, test } from "vitest";
import { absentAt, behindFloor, isAbsent, isNowhere } from "./absent.ts";
import { composeKey, composeTable } from "./compose.ts";
import { sealDecision } from "./decision.ts";
import { EMPTY_REGISTER, isCurrent, step } from "./register.ts";

const owner = { replica: 0, incarnation: 1 };
const ballot = { round: 1, proposer: 4 };
const NO_BYTES = new Uint8Array(0);
const key = { keyspace: 1, key: Buffer.from("k") };

function put(version: number) {
  const value = { deleted: false, value: Buffer.from("v"), operations: undefined };
  return sealDecision(version, owner, { case: "key", value });
}

test("S5: what is absent is current, and raised by a higher floor alone", () => {
  const seven = absentAt(7);
  expect(isCurrent(seven) && isAbsent(seven) && isNowhere(seven)).toBe(true);
  expect(behindFloor(seven, 7)).toBe(seven);
  expect(behindFloor(seven, 5)).toBe(seven);
  expect(behindFloor(EMPTY_REGISTER, 0)).toBe(EMPTY_REGISTER);
  expect(behindFloor(seven, 9)).toEqual(absentAt(9));
});

test("S5: a promise about a version below a floor is none; an accepted value, and a value, stay", () => {
  const prepare = { kind: "prepare" as const, version: 1, ballot, baseDigest: 0 };
  const promised = step(EMPTY_REGISTER, prepare).register;
  expect(isNowhere(promised)).toBe(false);
  expect(behindFloor(promised, 7)).toEqual(absentAt(7));
  const accept = { kind: "accept" as const, ballot, decision: put(1), baseDigest: 0 };
  const accepted = step(EMPTY_REGISTER, accept).register;
  expect(behindFloor(accepted, 7)).toBe(accepted);
  const alive = step(EMPTY_REGISTER, { kind: "learn", decision: put(3) }).register;
  expect(behindFloor(alive, 7)).toBe(alive);
});

test("S5: a replica that hears where a key stands holds that: nothing is left to be fetched", () => {
  const alive = step(EMPTY_REGISTER, { kind: "learn", decision: put(3) }).register;
  const { version, digest } = absentAt(7).known;
  expect(step(alive, { kind: "notice", version, digest }).register).toEqual(absentAt(7));
  const reply = {
    version,
    digest,
    owner: undefined,
    body: undefined,
    unavailable: false,
    barred: "",
  };
  const fetched = step(alive, { kind: "fetched", reply });
  expect(fetched).toMatchObject({ register: absentAt(7), log: true });
  // Of a version that somebody wrote only the digest is known.
  expect(step(alive, { kind: "notice", version, digest: 77 }).register.heldVersion).toBe(3);
});

test("S5: messages of an earlier life are refused, the first of the next proves the floor", () => {
  const seven = absentAt(7);
  const late = { kind: "accept" as const, ballot, decision: put(4), baseDigest: put(3).digest };
  expect(step(seven, late)).toMatchObject({ register: seven, vote: { granted: false } });
  expect(step(seven, { kind: "learn", decision: put(4) }).register).toBe(seven);
  const { digest: baseDigest } = seven.known;
  const next = { kind: "accept" as const, ballot, decision: put(8), baseDigest };
  const alive = step(EMPTY_REGISTER, { kind: "learn", decision: put(3) }).register;
  expect(step(alive, next)).toMatchObject({ vote: { granted: true } });
  expect(step(alive, next).register.known.version).toBe(7);
});

const write = (expectedVersion: number | undefined, forgottenMs = 0, operationId = NO_BYTES) => ({
  operationId,
  request: { key, write: { case: "put" as const, value: NO_BYTES }, expectedVersion },
  forgottenMs,
});

test.each([
  [undefined, { applied: true, version: 8 }],
  [0, { applied: true, version: 8 }],
  [7, { applied: true, version: 8 }],
  [2, { applied: false, version: 7 }],
])("S5: expecting version %o of an absent key at floor 7", (expected, reply) => {
  const { outcomes } = composeKey(absentAt(7), write(expected));
  expect(outcomes).toEqual([{ outcome: "reply", reply }]);
});

test("S5: version 0 is not expected of a tombstone that is still there", () => {
  const value = { deleted: true, value: NO_BYTES, operations: undefined };
  const decision = sealDecision(2, owner, { case: "key", value });
  const { register } = step(EMPTY_REGISTER, { kind: "learn", decision });
  const { outcomes } = composeKey(register, write(0));
  expect(outcomes).toEqual([{ outcome: "reply", reply: { applied: false, version: 2 } }]);
});

test("S5: an id that may have been forgotten with its key does not run again", () => {
  const id = Buffer.alloc(16);
  id.writeUIntBE(500, 0, 6);
  expect(composeKey(absentAt(7), write(undefined, 500, id)).outcomes).toEqual([
    { outcome: "unknown" },
  ]);
  expect(composeKey(absentAt(7), write(undefined, 499, id)).body).toBeDefined();
});

test("S5: a table begins above its floor, and is at version 0 while there is none", () => {
  const view = {
    ...{ version: 7, isAbsent: true, lastNumber: 0, trims: [], row: () => undefined },
  };
  const row = { row: Buffer.from("r"), value: NO_BYTES };
  const upsert = {
    operations: [{ operation: { case: "upsert" as const, value: row } }],
    guards: [],
  };
  const guard = { guard: { case: "row" as const, value: { row: Buffer.from("r"), version: 3 } } };
  const change = (guards: (typeof guard)[]) => ({
    ...{ operationId: NO_BYTES, isRetry: false, change: { ...upsert, guards } },
  });
  const refused = composeTable(absentAt(7), view, [change([guard])]);
  expect(refused.outcomes[0]).toMatchObject({ reply: { applied: false, version: 0 } });
  const first = composeTable(absentAt(7), view, [change([])]);
  expect(first.outcomes[0]).toMatchObject({ reply: { applied: true, version: 8 } });
  const { digest } = absentAt(7).known;
  expect(first.body).toMatchObject({ value: { baseDigest: digest } });
});
