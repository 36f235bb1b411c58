import { afterAll, beforeAll, expect, test } from "vitest";
import { type InboxMessage, Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeSendRequest, Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { makeSnapshotPayload } from "../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import {
  AccountData,
  makeAccountRecord,
} from "../../protos/gen/tricampus/data/v1/account_codec.ts";
import { InboxData, makeCommittedMessage } from "../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import {
  MessageData,
  makeReadMessagesRequest,
} from "../../protos/gen/tricampus/data/v1/message_codec.ts";
import { Reaching } from "../../protos/gen/tricampus/logic/v1/reach_codec.ts";
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import { conversationOf } from "../data/message/client.ts";
import { type Campuses, startCampuses } from "./testing/campuses.ts";

let campuses: Campuses;
let users = 0;

beforeAll(async () => {
  campuses = await startCampuses();
});
afterAll(async () => {
  await campuses.close();
});

/** Tests share the campuses and take users of their own. */
const newUser = () => `07au1-${(users++).toString(36)}`;

interface Sending {
  from: string;
  to: string;
  id: string;
  text?: string;
  campus?: string;
}

function send({ from, to, id: clientMessageId, text = "hello", campus = "a" }: Sending) {
  const request = makeSendRequest({ clientMessageId, text, to: { case: "userId", value: to } });
  return campuses.callee("text", "access", campus).call(Text.send, request, campuses.ticket(from));
}

/** Everything a device without anything gets, page after page. */
async function syncAll(userId: string, { limit = 0, device = "new" } = {}) {
  const messages: InboxMessage[] = [];
  const pages: number[] = [];
  for (let snapshot: Uint8Array = Buffer.alloc(0); ; ) {
    const sync = campuses.callee("sync", "access");
    const page = await sync.call(
      Sync.sync,
      { snapshot, limit, allParts: false },
      campuses.ticket(userId, device),
    );
    messages.push(...page.messages);
    pages.push(page.messages.length);
    snapshot = Buffer.from(page.snapshot);
    if (!page.more) return { messages, pages, snapshot, version: page.version };
  }
}

const sequences = (messages: readonly InboxMessage[]) => messages.map((m) => m.sequence);
const sorted = (numbers: readonly number[]) => [...numbers].sort((a, b) => a - b);

test("M1: a message reaches the recipient and the sender's other devices, with one number", async () => {
  const [ann, bob] = [newUser(), newUser()];
  const sent = await send({ from: ann, to: bob, id: "k1" });
  expect(sent).toMatchObject({ conversationId: conversationOf(ann, bob), sequence: 1 });
  const message = {
    ...sent,
    ...{ senderId: ann, clientMessageId: "k1", text: "hello", notice: undefined },
  };
  expect((await syncAll(bob)).messages).toMatchObject([message]);
  expect((await syncAll(ann)).messages).toMatchObject([message]);
});

test("M1: sending again gives the first answer and nothing twice, in any campus", async () => {
  const [ann, bob] = [newUser(), newUser()];
  const first = await send({ from: ann, to: bob, id: "k1" });
  expect(await send({ from: ann, to: bob, id: "k1", campus: "b" })).toEqual(first);
  const retries = ["a", "b", "c"].map((campus) => send({ from: ann, to: bob, id: "k2", campus }));
  const answers = await Promise.all(retries);
  expect(answers).toEqual([answers[0], answers[0], answers[0]]);
  expect(sequences((await syncAll(bob)).messages)).toEqual([1, 2]);
});

test("M1: one client message id stands for one message", async () => {
  const [ann, bob, cid] = [newUser(), newUser(), newUser()];
  await send({ from: ann, to: bob, id: "k1" });
  const refused = { code: "INVALID_ARGUMENT" };
  await expect(send({ from: ann, to: bob, id: "k1", text: "bye" })).rejects.toMatchObject(refused);
  await expect(send({ from: ann, to: cid, id: "k1" })).rejects.toMatchObject(refused);
  expect((await syncAll(cid)).messages).toEqual([]);
});

test("M2: both write at once through three campuses: once each, in one order", async () => {
  const [ann, bob] = [newUser(), newUser()];
  const sends = Array.from({ length: 60 }, (_, i) => {
    const [from, to] = i % 2 === 0 ? [ann, bob] : [bob, ann];
    return send({ from: from!, to: to!, id: `k${i}`, campus: "abc"[i % 3]! });
  });
  await Promise.all(sends);
  const expected = Array.from({ length: 60 }, (_, i) => i + 1);
  for (const user of [ann, bob]) {
    const { messages } = await syncAll(user);
    expect(sorted(sequences(messages))).toEqual(expected);
    const received = messages.filter((m) => m.senderId !== user);
    expect(sequences(received)).toEqual(sorted(sequences(received)));
  }
});

test("M2: turn by turn through two campuses", async () => {
  const [ann, bob] = [newUser(), newUser()];
  for (let i = 0; i < 6; i++) {
    const [from, to, campus] = i % 2 === 0 ? [ann, bob, "a"] : [bob, ann, "b"];
    expect(await send({ from: from!, to: to!, id: `k${i}`, campus: campus! })).toMatchObject({
      sequence: i + 1,
    });
  }
  expect(sequences((await syncAll(ann)).messages)).toEqual([1, 2, 3, 4, 5, 6]);
});

test("send: to oneself, once", async () => {
  const ann = newUser();
  await send({ from: ann, to: ann, id: "k1" });
  expect(sequences((await syncAll(ann)).messages)).toEqual([1]);
});

test("send: to a login name", async () => {
  const [ann, bob] = [newUser(), newUser()];
  const facts = { name: `bob-${bob}`, userId: bob, password: Buffer.from("x"), createdAtMs: 1 };
  const record = makeAccountRecord(facts);
  await campuses.callee("account-data", "account").call(AccountData.claimName, { record });
  const to = (value: string) => ({ case: "userName" as const, value });
  const text = campuses.callee("text", "access");
  const message = { clientMessageId: "k1", text: "hello" };
  const request = makeSendRequest({ ...message, to: to(record.name) });
  const sent = await text.call(Text.send, request, campuses.ticket(ann));
  expect(sent.conversationId).toBe(conversationOf(ann, bob));
  const unknown = text.call(Text.send, { ...request, to: to("nobody") }, campuses.ticket(ann));
  await expect(unknown).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("send: to a login name that was freed and is somebody else's by now", async () => {
  const [ann, bob, other] = [newUser(), newUser(), newUser()];
  const name = `bob-${bob}`;
  const accounts = campuses.callee("account-data", "account");
  const claim = (userId: string) => {
    const facts = { name, userId, password: Buffer.from("x"), createdAtMs: 1 };
    return accounts.call(AccountData.claimName, { record: makeAccountRecord(facts) });
  };
  const sendTo = (clientMessageId: string) => {
    const to = { case: "userName" as const, value: name };
    const request = makeSendRequest({ clientMessageId, text: "hello", to });
    return campuses.callee("text", "access").call(Text.send, request, campuses.ticket(ann));
  };
  const record = await claim(bob);
  await sendTo("k1");
  await accounts.call(AccountData.erase, { record });
  await campuses.callee("contact", "account").call(Reaching.forget, { userId: bob, otherId: "" });
  await expect(sendTo("k2")).rejects.toMatchObject({ code: "NOT_FOUND" });
  await claim(other);
  expect((await sendTo("k3")).conversationId).toBe(conversationOf(ann, other));
  // What was taken before is answered as it was.
  await sendTo("k3");
});

/** What a text service leaves behind that dies after `steps` writes of a send. */
async function dieAfter(steps: 1 | 2, { from, to, id }: Sending, ageMs: number) {
  const message = makeCommittedMessage({
    ...{
      messageId: `m-${from}-${id}`,
      conversationId: conversationOf(from, to),
      clientMessageId: id,
    },
    ...{ senderId: from, recipientId: to, text: "hello", acceptedAtMs: Date.now() - ageMs },
  });
  const ticket = campuses.ticket(from);
  await campuses.callee("inbox-data", "text").call(InboxData.commit, { message }, ticket);
  if (steps === 1) return;
  await campuses.callee("message-data", "text").call(MessageData.append, { message }, ticket);
}

test("M1: a send left after its commit is finished by the sender's sync", async () => {
  const [ann, bob] = [newUser(), newUser()];
  await dieAfter(1, { from: ann, to: bob, id: "k1" }, 7_000);
  expect((await syncAll(bob)).messages).toEqual([]);
  expect(sequences((await syncAll(ann)).messages)).toEqual([1]);
  expect(sequences((await syncAll(bob)).messages)).toEqual([1]);
});

test("M1: a send left before its delivery is finished by the sender's sync", async () => {
  const [ann, bob] = [newUser(), newUser()];
  await dieAfter(2, { from: ann, to: bob, id: "k1" }, 7_000);
  expect(sequences((await syncAll(ann)).messages)).toEqual([1]);
  await expect.poll(async () => sequences((await syncAll(bob)).messages)).toEqual([1]);
});

test("M1: a send left on the way is finished by its retry, and by the next message", async () => {
  const [ann, bob] = [newUser(), newUser()];
  await dieAfter(1, { from: ann, to: bob, id: "k1" }, 0);
  expect(await send({ from: ann, to: bob, id: "k1" })).toMatchObject({ messageId: `m-${ann}-k1` });
  await dieAfter(2, { from: ann, to: bob, id: "k2" }, 0);
  expect(await send({ from: ann, to: bob, id: "k3" })).toMatchObject({ sequence: 3 });
  expect(sequences((await syncAll(bob)).messages)).toEqual([1, 2, 3]);
});

test("sync: a page ends before an own message that is on its way", async () => {
  const [ann, bob] = [newUser(), newUser()];
  await send({ from: ann, to: bob, id: "k1" });
  await dieAfter(1, { from: ann, to: bob, id: "k2" }, 0);
  await send({ from: ann, to: bob, id: "k3" });
  const before = await syncAll(ann);
  expect(before).toMatchObject({ pages: [1], version: 1 });
  await send({ from: ann, to: bob, id: "k2" });
  expect(sequences((await syncAll(ann)).messages)).toEqual([1, 3, 2]);
});

test("sync: in pages of whole versions, and nothing twice", async () => {
  const [ann, bob] = [newUser(), newUser()];
  for (let i = 0; i < 7; i++) await send({ from: ann, to: bob, id: `k${i}` });
  const { messages, pages, snapshot } = await syncAll(bob, { limit: 3 });
  expect(sequences(messages)).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(pages).toEqual([3, 3, 1]);
  const sync = campuses.callee("sync", "access");
  const empty = await sync.call(
    Sync.sync,
    { snapshot, limit: 0, allParts: false },
    campuses.ticket(bob, "new"),
  );
  expect(empty).toMatchObject({ messages: [], more: false, version: 7 });
});

test("sync: large messages come in pages of about 512 KiB", async () => {
  const [ann, bob] = [newUser(), newUser()];
  const text = "x".repeat(64 * 1024);
  for (let i = 0; i < 10; i++) await send({ from: ann, to: bob, id: `k${i}`, text });
  const { messages, pages } = await syncAll(bob);
  expect(sequences(messages)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect(pages).toEqual([7, 3]);
});

test("M5: a snapshot is bound to user and device, and cannot be from the future", async () => {
  const [ann, bob] = [newUser(), newUser()];
  await send({ from: ann, to: bob, id: "k1" });
  const { snapshot } = await syncAll(bob, { device: "phone" });
  const sync = (bytes: Uint8Array, user: string, device: string) =>
    campuses
      .callee("sync", "access")
      .call(
        Sync.sync,
        { snapshot: bytes, limit: 0, allParts: false },
        campuses.ticket(user, device),
      );
  const forged = Buffer.from(snapshot);
  forged[forged.length - 1]! ^= 1;
  const future = campuses.snapshots.seal(
    { userId: bob, device: "phone" },
    makeSnapshotPayload({ messagesVersion: 99 }),
  );
  const refused = { code: "INVALID_ARGUMENT" };
  await expect(sync(snapshot, ann, "phone")).rejects.toMatchObject(refused);
  await expect(sync(snapshot, bob, "desk")).rejects.toMatchObject(refused);
  await expect(sync(forged, bob, "phone")).rejects.toMatchObject(refused);
  await expect(sync(future, bob, "phone")).rejects.toMatchObject(refused);
  expect((await sync(snapshot, bob, "phone")).messages).toEqual([]);
});

test("promise 7: without the user's own valid ticket nothing is read or written", async () => {
  const [ann, bob, eve] = [newUser(), newUser(), newUser()];
  await send({ from: ann, to: bob, id: "k1" });
  const conversationId = conversationOf(ann, bob);
  const inboxes = campuses.callee("inbox-data", "sync");
  const messages = campuses.callee("message-data", "text");
  const changes = { userId: bob, afterVersion: 0, limit: 0, consistency: 0 };
  const message = makeCommittedMessage({
    ...{ messageId: "m-x", conversationId, clientMessageId: "x", senderId: ann },
    ...{ recipientId: bob, text: "forged", acceptedAtMs: 1 },
  });
  const read = makeReadMessagesRequest({ conversationId });
  const sequences = { conversationId, messageIds: ["m-x"], consistency: 0 };
  const tries = (options: Parameters<typeof inboxes.call>[2]) => [
    inboxes.call(InboxData.changes, changes, options),
    inboxes.call(InboxData.commit, { message }, options),
    messages.call(MessageData.append, { message }, options),
    messages.call(MessageData.read, read, options),
    messages.call(MessageData.sequences, sequences, options),
  ];
  for (const attempt of tries(campuses.ticket(eve))) {
    await expect(attempt).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  }
  for (const attempt of [...tries({}), ...tries(campuses.ticket(bob, "phone", 1))]) {
    await expect(attempt).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  }
  const deliver = campuses
    .callee("inbox-data", "sync")
    .call(InboxData.deliver, { deliveries: [] }, campuses.ticket(bob));
  await expect(deliver).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
});

test("M5: imported history is forgotten by when it was imported, not by when it was said", async () => {
  const [ann, bob] = [newUser(), newUser()];
  const dayMs = 24 * 3_600_000;
  const acceptedAtMs = Date.now() - 365 * dayMs;
  const imported = (clientMessageId: string) => {
    const to = { case: "userId", value: bob } as const;
    const request = makeSendRequest({ clientMessageId, text: "long ago", to, acceptedAtMs });
    return campuses.callee("text", "access").call(Text.send, request, campuses.ticket(ann, "api"));
  };
  await imported("k1");
  await send({ from: ann, to: bob, id: "k2" });
  await imported("k3");
  const beforeMs = Date.now() - 90 * dayMs;
  const times = { deliveredBeforeMs: beforeMs, confirmedVersion: 0, committedBeforeMs: beforeMs };
  const inboxes = campuses.callee("inbox-data", "retention");
  for (const userId of [ann, bob])
    expect(await inboxes.call(InboxData.retain, { userId, ...times })).toEqual({
      forgottenVersion: 0,
    });
  const conversations = campuses.callee("message-data", "retention");
  const conversationId = conversationOf(ann, bob);
  const kept = await conversations.call(MessageData.retain, { conversationId, beforeMs });
  expect(kept).toEqual({ forgottenVersion: 0 });
  expect((await syncAll(bob)).messages).toMatchObject([
    { clientMessageId: "k1", acceptedAtMs },
    { clientMessageId: "k2" },
    { clientMessageId: "k3", acceptedAtMs },
  ]);
});

test("notify: the recipient's devices and the sender's, the row where it follows", async () => {
  const [ann, bob] = [newUser(), newUser()];
  const online = [
    { number: 1, userId: ann, device: "phone" },
    { number: 2, userId: ann, device: "desk" },
    { number: 3, userId: bob, device: "phone" },
  ];
  await campuses.callee("router", "access").call(Router.register, {
    ...{ access: "b/access#1", campus: "b", online, offline: [], complete: true },
  });
  campuses.pushes.length = 0;
  await send({ from: ann, to: bob, id: "k1" });
  await expect.poll(() => campuses.pushes.length).toBe(1);
  const [push] = campuses.pushes;
  expect(push!.messages).toMatchObject([{ sequence: 1, text: "hello" }]);
  expect([...push!.targets].sort((a, b) => a.connection - b.connection)).toEqual([
    { connection: 1, userId: ann, version: 1, follows: 0 },
    { connection: 2, userId: ann, version: 1, follows: 0 },
    { connection: 3, userId: bob, version: 1, follows: 0 },
  ]);
});
