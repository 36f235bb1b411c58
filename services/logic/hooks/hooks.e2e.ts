/** A whole platform with an integrator's servers for events and for pushes. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { decodeHookEntry } from "../../../protos/gen/tricampus/logic/v1/hook_codec.ts";
import type { DeadLetter } from "../../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import { Router } from "../../../protos/gen/tricampus/router/v1/router_codec.ts";
import { findInStore } from "../../../sdk/testing/find-in-store.ts";
import { People, type Person } from "../../../sdk/testing/people.ts";
import { startWholePlatform, type WholePlatform } from "../../platform/testing/whole-platform.ts";
import { DeadLetters } from "../../queue/dead-letters-client.ts";
import { fromBytes } from "../../svrkit/codec.ts";
import {
  API_SCOPES,
  type ApiScope,
  hashOfApiKey,
  newApiKey,
  writeApiKeys,
} from "../account/api-keys-client.ts";
import { HOOKS } from "../hook-streams.ts";
import { SIGNATURE_HEADER, signatureOf } from "../signature.ts";

interface Told {
  readonly id: string;
  readonly event?: string;
  readonly conversationId: string;
  readonly sequence: number;
  readonly text?: string;
  readonly change?: string;
  readonly userIds?: readonly string[];
}

const dir = mkdtempSync(join(tmpdir(), "tricampus-hooks-"));
const received: { events: Told[]; pushes: Told[] } = { events: [], pushes: [] };
let status = 200;
let unsigned = 0;
let failed = 0;
const refused: string[] = [];
const KEYS = { shop: newApiKey(), other: newApiKey() };
const server = createServer(async (request, response) => {
  const body = await readText(request);
  const signature = String(request.headers[SIGNATURE_HEADER]);
  const at = Number(/^t=(\d+),/.exec(signature)?.[1]);
  if (signature !== signatureOf("shared", at, body)) unsigned += 1;
  if (status === 200) {
    const { events = [], pushes = [] } = JSON.parse(body) as Partial<typeof received>;
    received.events.push(...events);
    received.pushes.push(...pushes);
  } else failed += 1;
  if (status === 422) refused.push(body);
  response.writeHead(status).end();
});
let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const secretFile = join(dir, "secret");
  writeFileSync(secretFile, "shared\n");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const endpoint = { url, secretFile, attempts: 2, pauseFirstMs: 5, pauseLastMs: 50 };
  const hooks = [...HOOKS];
  const apiKeysFile = join(dir, "keys.json");
  writeApiKeys(
    apiKeysFile,
    Object.entries(KEYS).map(([name, key]) => ({
      ...{ name, sha256: hashOfApiKey(Buffer.from(key, "base64url")), createdAtMs: 1 },
      scopes: name === "shop" ? [...API_SCOPES] : ["users" as ApiScope],
    })),
  );
  platform = await startWholePlatform({
    account: { apiKeysFile, eraseEveryMs: 100, erasePauseMs: 1_000 },
    ...{ text: { hooks }, fanout: { hooks } },
    hooks: { events: endpoint, pushes: { ...endpoint, withText: true } },
  });
  people = new People(platform.endpoints);
});
beforeEach(async () => {
  people.nextScene();
  status = 200;
  const kept = new DeadLetters(platform.kv);
  for await (const letter of kept.all()) await kept.remove([letter]);
});
afterAll(async () => {
  await people.close();
  await platform.stop();
  server.close();
  rmSync(dir, { recursive: true });
  expect(unsigned).toBe(0);
});

/** At least once each: those that came again are left out. */
function seen(items: readonly Told[], conversations: readonly string[]): Told[] {
  const about = items.filter(({ conversationId }) => conversations.includes(conversationId));
  return [...new Map(about.map((item) => [item.id, item])).values()];
}
const events = (conversationId: string) =>
  seen(received.events, [conversationId]).map(({ event, sequence, text, change }) =>
    [sequence, event, change, text].filter(Boolean).join(" "),
  );

async function letters(stream?: string): Promise<DeadLetter[]> {
  const found: DeadLetter[] = [];
  for await (const letter of new DeadLetters(platform.kv).all(stream)) found.push(letter);
  return found;
}

const named = (payload: Uint8Array) =>
  fromBytes(decodeHookEntry, payload).messages.map(({ conversationId }) => conversationId);

interface AdminAnswer {
  readonly letters?: { letter: string; about: string; why: string }[];
  readonly next?: string;
  readonly entries?: object[];
}

async function admin(method: string, body: object, key = KEYS.shop) {
  const url = `${platform.endpoints[1]!.url.replace(/^ws/, "http")}/v1/Admin/${method}`;
  const headers = { authorization: `Bearer ${key}` };
  const init = { method: "POST", body: JSON.stringify(body), headers };
  const response = await fetch(url, init);
  return { status: response.status, body: (await response.json()) as AdminAnswer };
}

/** Every router knows so many of the person's connections. */
async function untilConnections({ id }: Person, count: number): Promise<void> {
  for (const [index, campus] of ["a", "b", "c"].entries()) {
    const router = platform.callee("router", "text", campus);
    const question = { userIds: [id], takesIncomplete: true };
    const ask = () => router.call(Router.lookup, question, { order: [index] });
    await expect.poll(async () => (await ask()).locations.length).toBe(count);
  }
}

test("events: messages, recalls and changes of a group, in the conversation's order", async () => {
  const [ann, bob] = [await people.online("ann"), await people.offline("bob")];
  const first = await ann.client.send({ userId: bob.id }, "hello");
  await ann.client.send({ userId: bob.id }, "again");
  const [shown] = await ann.client.store.messages(first.conversationId);
  await ann.client.recall(shown!);
  await expect
    .poll(() => events(first.conversationId))
    .toEqual(["1 message.sent hello", "2 message.sent again", "3 message.recalled"]);
  const group = await ann.client.groups.create("Harbour", [bob.id]);
  await ann.client.groups.setProfile(group, { announcement: "No fishing" });
  await ann.client.send({ groupId: group }, "who is there?");
  await expect
    .poll(() => events(group))
    .toEqual([
      "1 group.changed created",
      "2 group.changed announcement No fishing",
      "3 message.sent who is there?",
    ]);
});

test("pushes: for recipients without a connected device that have not muted the conversation", async () => {
  const [ann, bob, cid, dan] = [
    await people.online("ann"),
    await people.offline("bob"),
    await people.online("cid", { campus: "b" }),
    await people.offline("dan"),
  ];
  const group = await ann.client.groups.create("Harbour", [bob.id, cid.id, dan.id]);
  const quiet = await people.online("dan", { device: "tablet" });
  await quiet.client.conversations.mute(group, true);
  await quiet.client.close();
  await untilConnections(dan, 0);
  await untilConnections(cid, 1);
  await ann.client.send({ groupId: group }, "who is there?");
  const direct = await ann.client.send({ userId: cid.id }, "you are connected");
  const pushes = (...conversations: string[]) =>
    seen(received.pushes, conversations).map(({ text, userIds }) => [text, userIds]);
  await expect.poll(() => pushes(group)).toEqual([["who is there?", [bob.id]]]);
  const absent = await ann.client.send({ userId: dan.id }, "you are not");
  await expect
    .poll(() => pushes(absent.conversationId, direct.conversationId))
    .toEqual([["you are not", [dan.id]]]);
});

test("events: while the server is down they wait, and are told in their order when it is back", async () => {
  const [ann, bob] = [await people.online("ann"), await people.online("bob", { campus: "c" })];
  status = 503;
  const texts = Array.from({ length: 20 }, (_, i) => `waits ${i}`);
  let conversationId = "";
  for (const text of texts) ({ conversationId } = await ann.client.send({ userId: bob.id }, text));
  await expect.poll(() => bob.heard.map(({ text }) => text)).toEqual(texts);
  const failedBefore = failed;
  await expect.poll(() => failed).toBeGreaterThan(failedBefore + 3);
  status = 200;
  const expected = texts.map((text, i) => `${i + 1} message.sent ${text}`);
  await expect.poll(() => events(conversationId)).toEqual(expected);
  expect(await letters()).toEqual([]);
});

test("dead letters: what the server refuses is kept, over REST looked at, retried and dropped", async () => {
  const [ann, bob] = [await people.online("ann"), await people.online("bob", { campus: "c" })];
  status = 422;
  let conversationId = "";
  for (const text of ["one", "two", "three"])
    ({ conversationId } = await ann.client.send({ userId: bob.id }, text));
  await expect.poll(async () => (await letters("events/")).length).toBe(3);
  const first = await admin("DeadLetters", { stream: "events/", limit: 2 });
  expect(first.body.letters).toMatchObject([
    { about: `${conversationId}#1`, why: "status 422" },
    { about: `${conversationId}#2` },
  ]);
  const rest = await admin("DeadLetters", { stream: "events/", after: first.body.next });
  expect(rest.body).toMatchObject({ letters: [{ about: `${conversationId}#3` }] });
  expect(rest.body.next).toBeUndefined();
  const [one, two] = first.body.letters!.map(({ letter }) => letter);
  const [three] = rest.body.letters!.map(({ letter }) => letter);
  status = 200;
  expect((await admin("RetryDeadLetters", { letters: [one, "events/1@9999.0"] })).body).toEqual({
    ...{ done: [one], missing: ["events/1@9999.0"] },
  });
  await expect.poll(() => events(conversationId)).toEqual(["1 message.sent one"]);
  expect((await admin("DropDeadLetters", { letters: [two] })).body).toEqual({ done: [two] });
  expect((await admin("DropDeadLetters", { letters: [two] })).body).toEqual({ missing: [two] });
  await admin("RetryDeadLetters", { letters: [three] });
  await expect.poll(() => events(conversationId).at(-1)).toBe("3 message.sent three");
  expect(await letters("events/")).toEqual([]);
  const { body } = await admin("AuditLog", { limit: 1 });
  expect(body.entries).toMatchObject([{ key: "shop", method: "Admin/RetryDeadLetters" }]);
  for (const name of ["nonsense", "events/1@0.0"])
    expect((await admin("DropDeadLetters", { letters: [name] })).status).toBe(400);
  expect((await admin("DropDeadLetters", { letters: [] })).status).toBe(400);
  expect((await admin("DeadLetters", {}, KEYS.other)).status).toBe(403);
});

test("dead letters: a recall takes with it what is kept of the message", async () => {
  const [ann, bob] = [await people.online("ann"), await people.offline("bob")];
  status = 422;
  const sent = await ann.client.send({ userId: bob.id }, "a slip of the tongue");
  await ann.client.send({ userId: bob.id }, "meant so");
  const kept = async () => (await Promise.all([letters("events/"), letters("pushes/")])).flat();
  await expect.poll(async () => (await kept()).length).toBe(4);
  const stored = await ann.client.store.messages(sent.conversationId);
  await ann.client.recall(stored.find(({ text }) => text === "a slip of the tongue")!);
  await expect
    .poll(async () => (await kept()).map(({ payload }) => Buffer.from(payload).toString()).join())
    .not.toContain("a slip of the tongue");
  expect(await findInStore(platform, ["a slip of the tongue"])).toEqual([]);
  // Of both hooks the other message's, and of the events the recall itself.
  expect((await kept()).length).toBe(3);
});

test("dead letters: of who deleted the account nothing is left, and nothing is kept any more", async () => {
  const [ann, bob, cid] = [
    await people.online("ann"),
    await people.online("bob", { campus: "b" }),
    await people.online("cid"),
  ];
  status = 422;
  await ann.client.send({ userId: bob.id }, "a word of ann's");
  await bob.client.send({ userId: ann.id }, "a word to ann");
  await bob.client.send({ userId: cid.id }, "a word to cid");
  const words = ["a word of ann's", "a word to ann", "a word to cid"];
  const said = async () => {
    const texts = (await letters("events/")).map(({ payload }) => Buffer.from(payload).toString());
    return words.filter((word) => texts.some((text) => text.includes(word)));
  };
  await expect.poll(said).toEqual(words);
  // On its way while she goes: the server takes nothing, and then refuses it.
  status = 503;
  await ann.client.send({ userId: bob.id }, "a last word of ann's");
  await ann.client.account.delete("a password");
  await expect.poll(said).toEqual(["a word to cid"]);
  refused.length = 0;
  status = 422;
  await expect.poll(() => refused.join()).toContain("a last word of ann's");
  const late = await cid.client.send({ userId: bob.id }, "a later word");
  await expect
    .poll(async () => (await letters("events/")).flatMap(({ payload }) => named(payload)))
    .toContain(late.conversationId);
  // What bob was sent is his, and stays.
  expect(await findInStore(platform, words.slice(0, 2))).toEqual([bob.id]);
  expect(await findInStore(platform, ["a last word of ann's"])).toEqual([bob.id]);
});
