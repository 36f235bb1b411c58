import { expect, test } from "vitest";
import { makeCommittedMessage } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { appendChange, timeOf } from "./rows.ts";

const YEAR_MS = 365 * 24 * 3_600_000;
const nowMs = 1_800_000_000_000;

test("conversation rows: history that is imported is as old as its import, not as what it tells", () => {
  const message = makeCommittedMessage({
    ...{ messageId: "m1", conversationId: "c:a|b", clientMessageId: "k1", senderId: "a" },
    ...{ recipientId: "b", text: "old", acceptedAtMs: nowMs - YEAR_MS, committedAtMs: nowMs },
  });
  const [appended, index] = appendChange(message, nowMs + 5).operations;
  if (appended?.operation?.case !== "append") throw new Error("not an append");
  if (index?.operation?.case !== "insertIfAbsent") throw new Error("not an insert");
  const { prefix, value } = appended.operation.value;
  const row = Buffer.concat([prefix, Buffer.alloc(8)]);
  expect(timeOf({ row, value, version: 1, deleted: false })).toBe(nowMs);
  expect(timeOf({ ...index.operation.value, version: 1, deleted: false })).toBe(nowMs + 5);
  const before = { ...index.operation.value, value: Buffer.from([1]) };
  expect(timeOf({ ...before, version: 1, deleted: false })).toBeUndefined();
});
