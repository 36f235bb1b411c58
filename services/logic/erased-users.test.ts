/** What is left of a user whose account was deleted, for those who wrote to it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type InboxMessage, Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeSendRequest, Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import {
  AccountData,
  makeAccountRecord,
} from "../../protos/gen/tricampus/data/v1/account_codec.ts";
import {
  Consistency,
  InboxData,
  makeCommittedMessage,
} from "../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import {
  MessageData,
  makeReadMessagesRequest,
} from "../../protos/gen/tricampus/data/v1/message_codec.ts";
import { conversationOf } from "../data/message/client.ts";
import { type Campuses, startCampuses } from "./testing/campuses.ts";

const DAY_MS = 24 * 3_600_000;

let campuses: Campuses;
let users = 0;

beforeAll(async () => {
  campuses = await startCampuses();
});
afterAll(async () => {
  await campuses.close();
});

const newUser = () => `07er1-${(users++).toString(36)}`;

function send(from: string, to: string, clientMessageId: string) {
  const request = makeSendRequest({
    ...{ clientMessageId, text: clientMessageId },
    to: { case: "userId", value: to },
  });
  return campuses.callee("text", "access", "b").call(Text.send, request, campuses.ticket(from));
}

/** What a device that has nothing gets, of one in campus a, where nobody remembers any send. */
async function rebuilt(userId: string): Promise<InboxMessage[]> {
  const request = { snapshot: Buffer.alloc(0), limit: 0, allParts: false };
  const sync = campuses.callee("sync", "access");
  return (await sync.call(Sync.sync, request, campuses.ticket(userId, "new"))).messages;
}

/** As the eraser does. */
async function erase(userId: string, conversationId: string): Promise<void> {
  const messages = campuses.callee("message-data", "account");
  await messages.call(MessageData.erase, { conversationId });
  await campuses.callee("inbox-data", "account").call(InboxData.erase, { userId });
  const record = makeAccountRecord({ userId, name: userId });
  await campuses.callee("account-data", "account").call(AccountData.erase, { record });
}

const read = (userId: string, conversationId: string) =>
  campuses
    .callee("message-data", "conversation")
    .call(
      MessageData.read,
      makeReadMessagesRequest({ conversationId, limit: 10, consistency: Consistency.STRONG }),
      campuses.ticket(userId),
    );

const inboxOf = (userId: string) =>
  campuses
    .callee("inbox-data", "sync")
    .call(
      InboxData.changes,
      { userId, afterVersion: 0, limit: 10, consistency: Consistency.STRONG },
      campuses.ticket(userId),
    );

test("erased: the other's own messages keep their numbers, and nothing is delivered again", async () => {
  const [ann, bob] = [newUser(), newUser()];
  const conversationId = conversationOf(ann, bob);
  for (const id of ["k1", "k2", "k3"]) await send(ann, bob, id);
  const before = await inboxOf(bob);
  await erase(bob, conversationId);
  const erased = await inboxOf(bob);
  expect(before.rows).toHaveLength(3);
  const retention = campuses.callee("message-data", "retention");
  // A pass of retention that finds nothing old: the ids stay.
  await retention.call(MessageData.retain, { conversationId, beforeMs: Date.now() - DAY_MS });
  expect(await rebuilt(ann)).toMatchObject([
    { clientMessageId: "k1", sequence: 1 },
    { clientMessageId: "k2", sequence: 2 },
    { clientMessageId: "k3", sequence: 3 },
  ]);
  expect((await read(ann, conversationId)).messages).toEqual([]);
  expect(await inboxOf(bob)).toMatchObject({ version: erased.version, rows: [] });
  await retention.call(MessageData.retain, { conversationId, beforeMs: Date.now() + DAY_MS });
  const { row } = before.rows[0]!;
  if (row?.case !== "delivered") throw new Error("not a message");
  const asked = { conversationId, messageIds: [row.value.messageId] };
  const { sequences } = await campuses
    .callee("message-data", "sync")
    .call(
      MessageData.sequences,
      { ...asked, consistency: Consistency.STRONG },
      campuses.ticket(ann),
    );
  expect(sequences).toEqual([0]);
});

test("erased: a message that stopped on its way is numbered without its text, and not delivered", async () => {
  const [ann, bob] = [newUser(), newUser()];
  const conversationId = conversationOf(ann, bob);
  const message = makeCommittedMessage({
    ...{ messageId: `m-${ann}`, conversationId, clientMessageId: "k1", senderId: ann },
    ...{ recipientId: bob, text: "secret", acceptedAtMs: Date.now() - 10_000 },
  });
  const ticket = campuses.ticket(ann);
  await campuses.callee("inbox-data", "text").call(InboxData.commit, { message }, ticket);
  await erase(bob, conversationId);
  const erased = await inboxOf(bob);
  expect(await rebuilt(ann)).toMatchObject([{ text: "secret", sequence: 1 }]);
  expect((await read(ann, conversationId)).messages).toMatchObject([{ text: "", recalled: true }]);
  expect(await inboxOf(bob)).toMatchObject({ version: erased.version, rows: [] });
});

test("erased: what its sender sends again is numbered without its text, and not delivered", async () => {
  const [ann, bob] = [newUser(), newUser()];
  const conversationId = conversationOf(ann, bob);
  const message = makeCommittedMessage({
    ...{ messageId: `m-${ann}`, conversationId, clientMessageId: "k1", senderId: ann },
    ...{ recipientId: bob, text: "k1", acceptedAtMs: Date.now() },
  });
  const ticket = campuses.ticket(ann);
  await campuses.callee("inbox-data", "text").call(InboxData.commit, { message }, ticket);
  await erase(bob, conversationId);
  const erased = await inboxOf(bob);
  expect(await send(ann, bob, "k1")).toMatchObject({ messageId: `m-${ann}`, sequence: 1 });
  expect((await read(ann, conversationId)).messages).toMatchObject([{ text: "", recalled: true }]);
  expect(await inboxOf(bob)).toMatchObject({ version: erased.version, rows: [] });
  // Numbered by now: its place alone is not delivered either.
  await send(ann, bob, "k1");
  expect(await inboxOf(bob)).toMatchObject({ version: erased.version, rows: [] });
});
