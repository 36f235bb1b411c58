import { expect, test } from "vitest";
import type { AuditedInbox, AuditedMessage } from "../../services/data/audit-client.ts";
import { countWrong } from "../ledger/ledger.ts";
import { type AuditedUser, auditUser } from "./user-ledger.ts";

const DIRECT = "c:ann|bob";
const GROUP = "g1";

const message = (
  conversationId: string,
  sequence: number,
  senderId: string,
  more: Partial<AuditedMessage> = {},
): AuditedMessage => ({
  ...{ conversationId, sequence, senderId, messageId: `${conversationId}-${sequence}` },
  ...{ committedAtMs: sequence, isNotice: false, isRecalled: false, isRecall: false },
  ...more,
});

const direct = [message(DIRECT, 1, "bob"), message(DIRECT, 2, "ann"), message(DIRECT, 3, "bob")];
const group = [
  message(GROUP, 1, "bob", { isNotice: true }),
  message(GROUP, 2, "ann"),
  message(GROUP, 3, "bob"),
];

type Changeable<T> = { -readonly [K in keyof T]: T[K] };

/** Everything is where it must be: ann's own 1:1 message is committed, not delivered. */
function good(): Omit<AuditedUser, "inbox"> & { inbox: Changeable<AuditedInbox> } {
  const sent = [direct[1]!, group[1]!];
  return {
    inbox: {
      userId: "ann",
      deliveredThrough: new Map([[DIRECT, 3]]),
      delivered: [direct[0]!, ...group, direct[2]!],
      committed: sent.map(({ conversationId, messageId, committedAtMs }) => {
        return { conversationId, messageId, committedAtMs };
      }),
      groups: new Map([[GROUP, 1]]),
      ...{ hidden: new Set<string>(), reads: new Map<string, number>(), isTrimmed: false },
    },
    conversations: new Map([
      [DIRECT, { messages: direct }],
      [GROUP, { messages: group }],
    ]),
    refused: new Set<string>(),
    settledBeforeMs: 1_000,
  };
}

test("audit: everything once and in order", () => {
  const { counts } = auditUser(good());
  expect(countWrong(counts)).toBe(0);
  expect(counts).toMatchObject({ messages: 5, deliveries: 5 });
});

test("audit: what did not reach the inbox is missing, unless it may be on its way", () => {
  const user = good();
  user.inbox.delivered = user.inbox.delivered.slice(0, -1);
  expect(auditUser(user).counts).toMatchObject({ missing: 1, deliveries: 4 });
  expect(countWrong(auditUser({ ...user, settledBeforeMs: 3 }).counts)).toBe(0);
});

test("audit: what the user deleted, what was taken back and what was forgotten is not missing", () => {
  const hidden = good();
  hidden.inbox.delivered = hidden.inbox.delivered.slice(1);
  expect(auditUser(hidden).counts.missing).toBe(1);
  hidden.inbox.hidden = new Set([`${DIRECT}/1`]);
  expect(countWrong(auditUser(hidden).counts)).toBe(0);
  const forgotten = good();
  forgotten.inbox.delivered = forgotten.inbox.delivered.slice(2);
  expect(auditUser(forgotten).counts.missing).toBe(2);
  forgotten.inbox.isTrimmed = true;
  expect(countWrong(auditUser(forgotten).counts)).toBe(0);
});

test("audit: what was sent and never numbered is missing, unless the group refused it", () => {
  const user = good();
  const conversations = new Map([
    ...user.conversations,
    [GROUP, { messages: [group[0]!, group[2]!] }],
  ]);
  user.inbox.delivered = user.inbox.delivered.filter((one) => one !== group[1]);
  expect(auditUser({ ...user, conversations }).counts.missing).toBe(1);
  const refused = new Set([group[1]!.messageId]);
  expect(countWrong(auditUser({ ...user, conversations, refused }).counts)).toBe(0);
});

test("audit: doubles, swapped rows, other numbers and strangers' messages are found", () => {
  const delivered = good().inbox.delivered;
  const judge = (rows: AuditedMessage[]) =>
    auditUser({ ...good(), inbox: { ...good().inbox, delivered: rows } }).counts;
  const again = { ...direct[0]!, sequence: 4 };
  expect(judge([...delivered, again])).toMatchObject({ duplicates: 1 });
  const swapped = [direct[2]!, ...group, direct[0]!];
  expect(judge(swapped)).toMatchObject({ outOfOrder: 1 });
  expect(judge([...delivered.slice(0, -1), { ...direct[2]!, sequence: 9 }]).altered).toBe(1);
  expect(judge([...delivered, message(DIRECT, 7, "bob")])).toMatchObject({ foreign: 1 });
});
