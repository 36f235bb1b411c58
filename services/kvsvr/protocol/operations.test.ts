/** S4: which ids are remembered, and for how long. */
import { expect, test } from "vitest";
import type { Operations } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import {
  lookUp,
  lookUpAll,
  mergeOperations,
  NO_OPERATIONS,
  OPERATION_HEAD_BYTES,
  packOperations,
  roomFor,
} from "./operations.ts";

const NOW_MS = 1_700_000_000_000;
const BYTES_MAX = 100_000;

function idMadeAt(ms: number, counter: number): Buffer {
  const id = Buffer.alloc(16, 7);
  id.writeUIntBE(ms, 0, 6);
  id.writeUInt32BE(counter, 12);
  return id;
}

/** One operation after the other, each made a millisecond after the one before. */
function operationsMade(count: number, { everyMs = 1, replyBytes = 0, bytesMax = BYTES_MAX } = {}) {
  let operations: Operations = NO_OPERATIONS;
  for (let i = 0; i < count; i++) {
    const one = { id: idMadeAt(NOW_MS + i * everyMs, i), version: i + 1 };
    const added = packOperations([{ ...one, reply: Buffer.alloc(replyBytes) }]);
    operations = mergeOperations(operations, added, bytesMax);
  }
  return operations;
}

test("S4: what is younger than two seconds is remembered, however many they are", () => {
  const operations = operationsMade(1_900);
  expect(operations).toMatchObject({ forgottenMs: 0 });
  expect(lookUp(operations, idMadeAt(NOW_MS, 0))).toMatchObject({ operation: { version: 1 } });
});

test("S4: what is older is remembered for twenty seconds while it is little", () => {
  const operations = operationsMade(300, { everyMs: 100 });
  expect(operations.forgottenMs).toBe(NOW_MS + 299 * 100 - 20_000);
  expect(lookUp(operations, idMadeAt(NOW_MS, 0)).found).toBe("forgotten");
  expect(lookUp(operations, idMadeAt(operations.forgottenMs + 100, 100)).found).toBe("outcome");
});

test.each([
  ["many", { everyMs: 10 }, 300 - 256],
  ["large", { everyMs: 100, replyBytes: 1_000 }, 300 - Math.floor(65_536 / 1_026)],
])("S4: of what is older the oldest go when they are %s", (_, how, gone) => {
  const operations = operationsMade(300, how);
  expect(operations.forgottenMs).toBe(NOW_MS + (gone - 1) * how.everyMs);
});

test("S4: a first attempt of a late clock is not taken for one that was forgotten", () => {
  const operations = operationsMade(1_000, { everyMs: 5 });
  expect(operations.forgottenMs).toBeGreaterThan(NOW_MS);
  expect(lookUp(operations, idMadeAt(NOW_MS + 5_000 - 1_900, 99_999)).found).toBe("never");
});

test("S4: there is no room for more than can be remembered, and there is again two seconds later", () => {
  const full = operationsMade(1_900, { bytesMax: 1_900 * OPERATION_HEAD_BYTES });
  const room = (ms: number) => roomFor([idMadeAt(ms, 1)], full, 1_900 * OPERATION_HEAD_BYTES);
  expect(room(NOW_MS + 1_900)).toBe(0);
  expect(room(NOW_MS + 2_010)).toBe(11 * OPERATION_HEAD_BYTES);
  expect(room(NOW_MS + 10_000)).toBe(1_900 * OPERATION_HEAD_BYTES);
});

test("S4: more than fits, decided by one that refuses nothing, is forgotten", () => {
  const { kept, forgottenMs } = operationsMade(1_000, { bytesMax: 500 * OPERATION_HEAD_BYTES });
  expect(kept).toHaveLength(500 * OPERATION_HEAD_BYTES);
  expect(forgottenMs).toBe(NOW_MS + 499);
});

test("S4: many ids are looked up as each alone is", () => {
  const operations = operationsMade(500, { bytesMax: 300 * OPERATION_HEAD_BYTES });
  const ids = [0, 199, 200, 499, 499].map((i) => idMadeAt(NOW_MS + i, i));
  ids.push(idMadeAt(NOW_MS + 499, 498), idMadeAt(NOW_MS + 600, 600), Buffer.of());
  expect(lookUpAll(operations, ids)).toEqual(ids.map((id) => lookUp(operations, id)));
});
