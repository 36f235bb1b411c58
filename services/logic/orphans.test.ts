/** M1: what a text process leaves midway when it dies is finished, and its sender need not return. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type InboxMessage, Sync } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeSendRequest, Text } from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { InboxData, makeCommittedMessage } from "../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { MessageData } from "../../protos/gen/tricampus/data/v1/message_codec.ts";
import { Finishing } from "../../protos/gen/tricampus/logic/v1/finish_codec.ts";
import { conversationOf } from "../data/message/client.ts";
import { Client, type ServiceAddress } from "../svrkit/client.ts";
import { silentLogger } from "../svrkit/log.ts";
import { Server } from "../svrkit/server.ts";
import { type Campuses, startCampuses } from "./testing/campuses.ts";
import { startTextProcess, type TextProcess } from "./testing/text-process.ts";

const SWEEP_AFTER_MS = 1_000;

let campuses: Campuses;
let text: TextProcess | undefined;
const closing: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  campuses = await startCampuses({ text: { sweepAfterMs: SWEEP_AFTER_MS } });
});
afterEach(async () => {
  await text?.kill();
  for (const close of closing.splice(0)) await close();
});
afterAll(async () => {
  await campuses.close();
});

/** What the recipient's devices would get; the sender's never come back. */
async function received(userId: string): Promise<InboxMessage[]> {
  const question = { snapshot: Buffer.alloc(0), limit: 0, allParts: false };
  const sync = campuses.callee("sync", "access");
  return (await sync.call(Sync.sync, question, campuses.ticket(userId))).messages;
}

/** A service message-data that takes what it is asked and never answers. */
async function silentMessageData(onAppend: () => void): Promise<ServiceAddress> {
  const server = new Server({ process: "a/stub", campus: "a" }, silentLogger());
  server.add(MessageData.append, () => {
    onAppend();
    return new Promise<never>(() => {});
  });
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  closing.push(() => server.stop());
  return { campus: "a", host: "127.0.0.1", port };
}

test("M1: a process is killed between commit and delivery: another campus delivers", async () => {
  const [ann, bob] = ["07au1-ann", "07au1-bob"];
  let isCommitted = () => {};
  const committed = new Promise<void>((resolve) => {
    isCommitted = resolve;
  });
  text = await startTextProcess(campuses, await silentMessageData(isCommitted));
  const client = new Client({ process: "a/test", campus: "a" });
  closing.push(() => client.stop());
  const request = makeSendRequest({
    ...{ clientMessageId: "k1", text: "hello" },
    to: { case: "userId", value: bob },
  });
  const sent = client
    .callee("text", [text.address], { caller: "access" })
    .call(Text.send, request, { ...campuses.ticket(ann), timeoutMs: 3_000 });
  const refused = expect(sent).rejects.toMatchObject({ code: "UNAVAILABLE" });
  await committed;
  await text.kill();
  expect(await received(bob)).toEqual([]);
  await expect
    .poll(() => received(bob), { timeout: 8_000 })
    .toMatchObject([{ text: "hello", senderId: ann, sequence: 1 }]);
  await refused;
});

test("M1: a send that was never committed makes no message, and only text names witnesses", async () => {
  const [ann, bob] = ["07au1-ann2", "07au1-bob2"];
  const { ticket } = campuses.ticket(ann);
  const message = makeCommittedMessage({
    ...{ messageId: "m-2", conversationId: conversationOf(ann, bob), clientMessageId: "k2" },
    ...{ senderId: ann, recipientId: bob, text: "late", acceptedAtMs: Date.now() },
  });
  const open = (id: string, clientMessageId: string) => ({
    ...{ id, clientMessageId, ticket, openedAtMs: Date.now() },
  });
  const opened = [open("m-1", "never"), open("m-2", "k2")];
  const witness = (caller: string) =>
    campuses.callee("text", caller, "b").call(Finishing.witness, { opened, closed: [] });
  await expect(witness("access")).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await witness("text");
  // The commit is decided after the witness looked for the first time.
  await new Promise((resolve) => setTimeout(resolve, 2 * SWEEP_AFTER_MS));
  expect(await received(bob)).toEqual([]);
  await campuses.callee("inbox-data", "text").call(InboxData.commit, { message }, { ticket });
  const texts = async () => (await received(bob)).map((m) => m.text);
  await expect.poll(texts, { timeout: 8_000 }).toEqual(["late"]);
});
