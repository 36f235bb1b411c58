/** What the platform forgets, and what devices then get: a device that was away too long reads anew. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Keyspace } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { conversationOf } from "../services/data/message/client.ts";
import { listTables } from "../services/kvsvr/tables-client.ts";
import { passOver } from "../services/logic/retention/pass.ts";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import { People, type Person } from "./testing/people.ts";

const DAY_MS = 24 * 3_600_000;

let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  platform = await startWholePlatform({ sync: { confirmEveryMs: 100 } });
  people = new People(platform.endpoints);
});
beforeEach(() => people.nextScene());
afterAll(async () => {
  await people.close();
  await platform.stop();
});

/** A pass over everything, so many days from now. */
async function pass(forget: "by-age" | "when-confirmed", daysFromNow: number): Promise<void> {
  const callee = (name: Parameters<WholePlatform["callee"]>[0]) =>
    platform.callee(name, "retention");
  const rules = {
    forget,
    keepMs: 30 * DAY_MS,
    silentMs: 20 * DAY_MS,
    idsMs: 7 * DAY_MS,
    mediaMs: 30 * DAY_MS,
    timelineMs: 30 * DAY_MS,
  };
  await passOver(listTables(platform.callee("kvsvr", "retention"), 0), {
    ...{ accounts: callee("account-data"), inboxes: callee("inbox-data"), rules, restMs: 0 },
    ...{ messages: callee("message-data"), groups: callee("group-data") },
    media: callee("media-data"),
    moments: callee("moments-data"),
    stopped: new AbortController().signal,
    now: () => Date.now() + daysFromNow * DAY_MS,
  });
}

async function rowsOf(keyspace: number, name: string): Promise<string[]> {
  const key = { keyspace, key: Buffer.from(name) };
  const scan = { first: Buffer.alloc(0), end: Buffer.alloc(0), limit: 0, level: 1, reverse: false };
  const { rows } = await platform.kv.scanRows({ key, ...scan });
  return rows.map((row) => Buffer.from(row.row).toString("latin1").slice(0, 2)).sort();
}

const texts = ({ heard }: Person) => heard.map((message) => message.text);

test("M5: what all devices have is forgotten when it is confirmed, and not before", async () => {
  const ann = await people.online("ann");
  const phone = await people.online("bob", { campus: "b" });
  const away = await people.online("bob", { campus: "c", device: "desk" });
  await away.client.sync(); // it counts from its first one on
  await away.client.close();
  await ann.client.send({ userId: phone.id }, "one");
  await expect.poll(() => texts(phone)).toEqual(["one"]);
  await phone.client.sync(); // what it echoes says what it has
  await sleep(300);
  await pass("when-confirmed", 0);
  expect(await rowsOf(Keyspace.INBOX, phone.id)).toContain("m/");
  const { store } = away.client;
  const desk = await people.online("bob", { campus: "c", device: "desk", store });
  await expect.poll(() => texts(desk)).toEqual(["one"]);
  await desk.client.sync();
  const afterPass = async () => {
    await pass("when-confirmed", 0);
    return rowsOf(Keyspace.INBOX, phone.id);
  };
  // What a device has is noted a moment after its sync.
  await expect.poll(afterPass, { timeout: 10_000 }).not.toContain("m/");
  await ann.client.send({ userId: phone.id }, "two");
  await expect.poll(() => texts(phone)).toEqual(["one", "two"]);
});

test("M5: a device that was away for longer than messages are kept reads everything anew", async () => {
  const ann = await people.online("ann");
  const phone = await people.online("bob", { campus: "b" });
  const { conversationId } = await ann.client.send({ userId: phone.id }, "old");
  const group = await ann.client.groups.create("Old", [phone.id]);
  await expect.poll(() => phone.client.store.book.groups.size).toBe(1);
  await phone.client.conversations.pin(conversationId, true);
  await phone.client.conversations.setDraft(conversationId, "gone soon");
  await phone.client.close();
  const desk = await people.online("bob", { campus: "c", device: "desk" });
  await desk.client.conversations.setDraft(conversationId, "");
  await desk.client.groups.leave(group);
  await ann.client.send({ userId: phone.id }, "never read by the phone");
  await expect.poll(() => texts(desk)).toContain("never read by the phone");
  await pass("by-age", 30.5);
  expect(await rowsOf(Keyspace.INBOX, phone.id)).not.toContain("m/");
  const conversation = conversationOf(ann.id, phone.id);
  expect(await rowsOf(Keyspace.MESSAGE, conversation)).not.toEqual([]);
  await pass("by-age", 31.5);
  expect(await rowsOf(Keyspace.MESSAGE, conversation)).toEqual([]);
  // That the newest one is delivered is noted with the group's next.
  const left = (await rowsOf(Keyspace.GROUP, group)).filter((row) => row === "q/");
  expect(left).toHaveLength(1);
  await ann.client.send({ userId: phone.id }, "new");
  const { store } = phone.client;
  const again = await people.online("bob", { campus: "a", store });
  await expect.poll(() => texts(again)).toEqual(["new"]);
  expect(again.updates).toContainEqual({ kind: "gap" });
  expect(again.client.store.book.groups.size).toBe(0);
  expect(again.client.conversations.get(conversationId)).toMatchObject({
    ...{ draft: "", lastText: "new", lastSequence: 3 },
  });
  expect(again.client.conversations.get(conversationId)!.pinnedAtMs).toBeGreaterThan(0);
  const all = await again.client.store.messages(conversationId);
  expect(all.map((message) => message.text)).toEqual(["old", "new"]);
});

test("a conversation goes on where it was, whatever it has forgotten, and doubles nothing", async () => {
  const ann = await people.online("ann");
  const bob = await people.online("bob", { campus: "b" });
  const first = await ann.client.send({ userId: bob.id }, "one", "k1");
  await pass("by-age", 0);
  expect(await ann.client.send({ userId: bob.id }, "one", "k1")).toMatchObject({
    messageId: first.messageId,
  });
  await pass("by-age", 40);
  const next = await ann.client.send({ userId: bob.id }, "two");
  expect(next.sequence).toBe(2);
  await bob.client.send({ userId: ann.id }, "three");
  await expect.poll(() => texts(ann)).toEqual(["one", "two", "three"]);
  await expect.poll(() => texts(bob).sort()).toEqual(["one", "three", "two"]);
});
