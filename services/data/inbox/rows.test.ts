import { expect, test } from "vitest";
import {
  type InboxMessage,
  makeInboxMessage,
} from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeCommittedMessage } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { sequenceOf } from "../sequence-key.ts";
import { commitChange, committedRowKey, deliveryChange, encodeRows, readRow } from "./rows.ts";

const message = (sequence: number, facts: Partial<InboxMessage> = {}) =>
  makeInboxMessage({
    ...{ messageId: `m${sequence}`, conversationId: "g1", sequence, senderId: "ann" },
    ...{ clientMessageId: `k${sequence}`, text: "hello", acceptedAtMs: 5, ...facts },
  });

const encoded = encodeRows("g1", [message(5), message(6), message(8)]);

test.each([
  { what: "all", from: 4, through: 8, rows: [5, 6, 8] },
  { what: "from the middle", from: 5, through: 8, rows: [6, 8] },
  { what: "up to the middle", from: 4, through: 6, rows: [5, 6] },
  { what: "only the mark", from: 6, through: 7, rows: [] },
])("inbox delivery: $what", ({ from: fromSequence, through: throughSequence, rows }) => {
  const target = { userId: "bob", fromSequence, throughSequence, allowSkip: false };
  const { change } = deliveryChange(encoded, target);
  const upserts = change.operations.map(({ operation }) =>
    operation?.case === "upsert" ? sequenceOf(operation.value.row) : undefined,
  );
  expect(upserts).toEqual(rows);
  expect(change.guards).toEqual([
    {
      guard: {
        case: "mark",
        value: {
          name: Buffer.from("g1"),
          from: fromSequence,
          to: throughSequence,
          allowSkip: false,
        },
      },
    },
  ]);
});

test("inbox rows: what was delivered and committed reads back", () => {
  const { operation } = encoded.rows[0]!.operations[0]!;
  if (operation?.case !== "upsert") throw new Error("not an upsert");
  const stored = { ...operation.value, version: 3, deleted: false };
  expect(readRow(stored)).toEqual({ version: 3, row: { case: "delivered", value: message(5) } });

  const committed = makeCommittedMessage({
    ...{ messageId: "m1", conversationId: "c:a|b", clientMessageId: "k1", senderId: "a" },
    ...{ recipientId: "b", text: "hello", acceptedAtMs: 5 },
  });
  const [inserted] = commitChange(committed).operations;
  if (inserted?.operation?.case !== "insertIfAbsent") throw new Error("not an insert");
  expect(inserted.operation.value.row).toEqual(committedRowKey("k1"));
  const row = { ...inserted.operation.value, version: 4, deleted: false };
  expect(readRow(row)).toEqual({ version: 4, row: { case: "committed", value: committed } });
});

test.each([
  { what: "a row that is gone", row: "s/k1", deleted: true },
  { what: "a row of a kind to come", row: "x/k1", deleted: false },
])("inbox rows: $what is passed over", ({ row, deleted }) => {
  const value = Buffer.alloc(0);
  expect(readRow({ row: Buffer.from(row), value, version: 3, deleted })).toBeUndefined();
});
