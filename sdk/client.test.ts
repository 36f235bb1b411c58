/** The SDK against real access services: what a user of it is promised. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { makeInboxMessage } from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import { type ClientOptions, TricampusClient } from "./client.ts";
import { FileStore } from "./file-store.ts";
import { OPEN_SENDS_MAX } from "./outbox.ts";
import { EMPTY_SNAPSHOT, MemoryStore } from "./store.ts";
import { PAGE } from "./sync-loop.ts";
import { layCable } from "./testing/cable.ts";
import { type SmallPlatform, startSmallPlatform } from "./testing/small-platform.ts";
import { until } from "./testing/until.ts";

let platform: SmallPlatform;
const NO_ROWS = { messages: [], settings: [], groups: [] };
const clients: TricampusClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await platform.stop();
});

function makeClient(options: Partial<ClientOptions> = {}): TricampusClient {
  const client = new TricampusClient({
    endpoints: platform.endpoints,
    device: "phone",
    ...options,
  });
  clients.push(client);
  return client;
}

async function register(
  name: string,
  options: Partial<ClientOptions> = {},
): Promise<TricampusClient> {
  const client = makeClient(options);
  await client.register(name, "a password");
  await client.connect();
  return client;
}

async function texts(client: TricampusClient, conversationId: string): Promise<string[]> {
  return (await client.store.messages(conversationId)).map((message) => message.text);
}

describe("sdk: one campus", () => {
  beforeEach(async () => {
    platform = await startSmallPlatform();
  });

  test("a message arrives once, by push, in both stores", async () => {
    const [ann, bob] = await Promise.all([register("ann"), register("bob")]);
    await until(() => platform.backend.syncs === 4); // each with its log-in, and when it came online
    const sent = await ann.send({ userId: bob.userId! }, "hello");
    await until(() => bob.store.counts.messages === 1);
    const [received] = await bob.store.messages(sent.conversationId);
    expect(received).toMatchObject({
      text: "hello",
      sequence: 1,
      senderId: ann.userId,
      messageId: sent.messageId,
    });
    const [own] = await ann.store.messages(sent.conversationId);
    expect(own).toMatchObject({
      text: "hello",
      sequence: 1,
      clientMessageId: sent.clientMessageId,
    });
    await ann.sync();
    expect(ann.store.counts).toMatchObject({ messages: 1, doubles: 0 });
    const [record] = await ann.store.sends();
    expect(record?.outcome).toMatchObject({ state: "acknowledged", messageId: sent.messageId });
  });

  test("a busy group: every device has every message, in one order, mostly without a sync", async () => {
    const people = await Promise.all(["a1", "a2", "a3", "a4", "a5"].map((name) => register(name)));
    const group = await people[0]!.groups.create(
      "busy",
      people.map((p) => p.userId!),
    );
    const talk = people.map(async (person, who) => {
      for (let i = 0; i < 40; i++) await person.send({ groupId: group }, `${who}/${i}`);
    });
    await Promise.all(talk);
    await until(() => people.every((person) => person.store.counts.messages === 200));
    const expected = await texts(people[0]!, group);
    expect(new Set(expected).size).toBe(200);
    for (const person of people) expect(await texts(person, group)).toEqual(expected);
    expect(platform.backend.syncs).toBeLessThan(40);
  });

  test("M6: with every push lost a message comes with the fallback sync, and once", async () => {
    const ann = await register("ann", { autoSync: false });
    const bob = await register("bob", { fallbackSyncMs: 1_500 });
    await until(() => platform.backend.syncs === 2); // with its log-in, and when it came online
    platform.backend.pushes = false;
    const sentMs = performance.now();
    for (const text of ["one", "two"]) await ann.send({ userId: bob.userId! }, text);
    expect(bob.store.counts.messages).toBe(0);
    await until(() => bob.store.counts.messages === 2);
    expect(performance.now() - sentMs).toBeLessThan(2_500);
    await until(() => platform.backend.syncs >= 5); // it goes on
    expect(bob.store.counts).toMatchObject({ messages: 2, doubles: 0 });
  });

  test("a device that hears pushes needs no fallback sync", async () => {
    const ann = await register("ann", { autoSync: false });
    const bob = await register("bob", { fallbackSyncMs: 600 });
    await until(() => platform.backend.syncs === 2);
    for (let i = 0; i < 20; i++) {
      await ann.send({ userId: bob.userId! }, `${i}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await until(() => bob.store.counts.messages === 20);
    // Without pushes these two seconds hold four or more.
    expect(platform.backend.syncs).toBeLessThanOrEqual(3);
  });

  test("a second device gets everything, page by page", async () => {
    const ann = await register("ann");
    const bob = await register("bob", { wantPush: false, autoSync: false });
    for (let i = 0; i < 20; i++) {
      await Promise.all(
        Array.from({ length: 60 }, (_, j) => ann.send({ userId: bob.userId! }, `${i}/${j}`)),
      );
    }
    expect(bob.store.counts.messages).toBe(0);
    await bob.sync();
    expect(bob.store.counts.messages).toBe(1_200);
    const desk = makeClient({ device: "desk" });
    await desk.login("ANN", "a password");
    await desk.connect();
    await until(() => desk.store.counts.messages === 1_200);
    const [conversation] = await desk.store.conversations();
    expect(await texts(desk, conversation!)).toEqual(await texts(bob, conversation!));
  });

  test("a client that only sends hears nothing until it asks", async () => {
    const quiet = await register("quiet", { wantPush: false, autoSync: false });
    const ann = await register("ann");
    await ann.send({ userId: quiet.userId! }, "hello?");
    await quiet.send({ userId: ann.userId! }, "yes");
    expect(quiet.store.counts.messages).toBe(1);
    await quiet.sync();
    expect(await texts(quiet, [quiet.userId!, ann.userId!].sort().join(":"))).toEqual([
      "hello?",
      "yes",
    ]);
  });

  test("losing every push costs a sync, not a message", async () => {
    const [ann, bob] = await Promise.all([register("ann"), register("bob")]);
    await until(() => platform.backend.syncs === 4);
    platform.backend.pushes = false;
    await ann.send({ userId: bob.userId! }, "one");
    platform.backend.pushes = true;
    await ann.send({ userId: bob.userId! }, "two");
    await until(() => bob.store.counts.messages === 2);
    expect(await texts(bob, [bob.userId!, ann.userId!].sort().join(":"))).toEqual(["one", "two"]);
  });

  test("pushed rows that do not follow what the device has are not taken: it syncs", async () => {
    const store = new MemoryStore();
    const [ann, bob] = await Promise.all([register("ann"), register("bob", { store })]);
    await until(() => platform.backend.syncs === 4); // each with its log-in, and when it came online
    await ann.send({ userId: bob.userId! }, "one");
    await until(() => store.counts.messages === 1);
    store.add(NO_ROWS, EMPTY_SNAPSHOT); // the device lost its newest state, access does not know
    const { syncs } = platform.backend;
    await ann.send({ userId: bob.userId! }, "two");
    await until(() => store.snapshot.version === 2);
    expect(platform.backend.syncs).toBe(syncs + 1);
    expect(store.counts).toMatchObject({ messages: 2, doubles: 0 });
  });

  test("a snapshot that is not accepted: everything is read again, nothing is doubled", async () => {
    const ann = await register("ann");
    const store = new MemoryStore();
    const bob = await register("bob", { store });
    await ann.send({ userId: bob.userId! }, "one");
    await until(() => store.counts.messages === 1);
    store.add(NO_ROWS, { bytes: Buffer.alloc(30, 1), version: 7 });
    await ann.send({ userId: bob.userId! }, "two");
    await bob.sync();
    await bob.sync();
    expect(store.counts).toMatchObject({ messages: 2, doubles: 0 });
    expect(store.snapshot.version).toBe(2);
  });

  test("a rebuild that is interrupted goes on, and what did not come again is gone at its end", async () => {
    const store = new MemoryStore();
    const bob = await register("bob", { store, autoSync: false });
    const inbox = platform.backend.inbox(bob.userId!);
    for (let n = 1; n <= PAGE + 1; n++)
      inbox.push(makeInboxMessage({ messageId: `m${n}`, conversationId: "g1", sequence: n }));
    await bob.sync();
    const setting = { case: "pinnedAtMs", value: 77 } as const;
    const settings = [{ conversationId: "g1", setting }];
    store.add({ ...NO_ROWS, settings, groups: [{ groupId: "g1", sinceSequence: 1 }] }, undefined);
    inbox.push(makeInboxMessage({ messageId: "m", conversationId: "g2", sequence: 1 }));
    platform.backend.forgottenVersion = PAGE + 2;
    platform.backend.beforeSync = () => {
      if (store.snapshot.version !== PAGE) return;
      platform.backend.beforeSync = () => {};
      throw new RpcError("INTERNAL", "not now");
    };
    await expect(bob.sync()).rejects.toThrow("not now");
    expect(store.book.summary("g1")?.pinnedAtMs).toBe(77);
    await bob.sync();
    expect(store.snapshot.version).toBe(PAGE + 2);
    expect(store.book.summary("g1")?.pinnedAtMs).toBe(0);
    expect([...store.book.groups]).toEqual([]);
  });

  test("a rebuild does not end before an own message on its way; what is behind it comes soon", async () => {
    const store = new MemoryStore();
    const bob = await register("bob", { store, wantPush: false, fallbackSyncMs: 20_000 });
    await until(() => platform.backend.syncs === 2);
    const inbox = platform.backend.inbox(bob.userId!);
    const push = (n: number) =>
      inbox.push(makeInboxMessage({ messageId: `m${n}`, conversationId: "g1", sequence: n }));
    for (let n = 1; n <= 3; n++) push(n);
    await bob.sync();
    const groups = [{ groupId: "g1", sinceSequence: 1 }];
    store.add({ ...NO_ROWS, groups }, undefined);
    for (let n = 4; n <= 6; n++) push(n);
    platform.backend.forgottenVersion = 4;
    platform.backend.unnumberedVersion = 5;
    await bob.sync();
    expect(store.snapshot.version).toBe(4);
    expect([...store.book.groups]).toEqual([["g1", 1]]);
    platform.backend.unnumberedVersion = Number.POSITIVE_INFINITY;
    await until(() => store.snapshot.version === 6);
    expect([...store.book.groups]).toEqual([]);
    expect(store.counts).toMatchObject({ messages: 6, doubles: 0 });
  });

  test("an own message that stays on its way is asked for less and less often", async () => {
    const bob = await register("bob", { wantPush: false, fallbackSyncMs: 20_000 });
    await until(() => platform.backend.syncs === 2);
    platform.backend.inbox(bob.userId!).push(makeInboxMessage({ messageId: "m1" }));
    platform.backend.unnumberedVersion = 1;
    await bob.sync();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    // After 0.5 s, and 1 s after that.
    expect(platform.backend.syncs).toBeGreaterThanOrEqual(4);
    expect(platform.backend.syncs).toBeLessThanOrEqual(5);
  });

  test("a failure that may pass is tried again under the same id, another one is told", async () => {
    const ann = await register("ann");
    const ids: string[] = [];
    platform.backend.beforeSend = async (request) => {
      ids.push(request.clientMessageId);
      if (ids.length < 3) throw new RpcError("NO_QUORUM", "not now");
    };
    await ann.send({ userId: "u-x" }, "hello");
    expect(new Set(ids).size).toBe(1);
    expect(ids.length).toBeGreaterThanOrEqual(3);
    expect(platform.backend.inbox("u-x")).toHaveLength(1);
    const calls = ids.length;
    await expect(ann.send({ userId: "u-x" }, "x".repeat(65_537))).rejects.toMatchObject({
      code: "TOO_LARGE",
    });
    expect(ids.length).toBe(calls + 1);
    const failed = (await ann.store.sends()).find((send) => send.outcome.state === "failed");
    expect(failed?.outcome).toMatchObject({ code: "TOO_LARGE" });
  });

  test("a send that nobody answers fails in time; a slow one does not cost the connection", async () => {
    const states: string[] = [];
    const ann = await register("ann", {
      sendTimeoutMs: 1_500,
      onState: (state) => states.push(state),
    });
    const before = states.length;
    const bob = ann.send({ userId: "u-x" }, "fine");
    platform.backend.beforeSend = () => new Promise((resolve) => setTimeout(resolve, 1_200));
    await Promise.all([bob, ann.send({ userId: "u-x" }, "slow")]);
    platform.backend.beforeSend = () => new Promise((resolve) => setTimeout(resolve, 2_500));
    const started = performance.now();
    const late = () => ann.send({ userId: "u-x" }, "late", "late-id");
    await expect(late()).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    expect(performance.now() - started).toBeLessThan(2_500);
    expect(states.slice(before)).toEqual([]);
    // The same message again waits for the one that is open; its id is no other message's.
    const other = ann.send({ userId: "u-x" }, "later", "late-id");
    await expect(other).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(await late()).toMatchObject({ clientMessageId: "late-id", sequence: 3 });
    await until(() => ann.store.openSends().length === 0);
    expect((await ann.store.sends()).map(({ outcome }) => outcome.state)).toEqual([
      ...["acknowledged", "acknowledged", "acknowledged"],
    ]);
  });

  test("a ticket that is refused: connect and requests say so", async () => {
    const client = makeClient();
    client.useLogin({ userId: "u-x", ticket: Buffer.from("nonsense"), expiresAtMs: 0 });
    await expect(client.connect()).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    await expect(client.send({ userId: "u-y" }, "hi")).rejects.toMatchObject({
      code: "UNAUTHENTICATED",
    });
    const login = await client.register("late", "a password");
    await client.connect();
    await client.send({ userId: login.userId }, "hi");
  });

  test("who guesses its password does not keep a device out that was logged in before", async () => {
    const ann = await register("ann");
    const login = await ann.login("ann", "a password");
    await ann.close();
    const [stranger, again] = [makeClient(), makeClient()];
    for (let i = 0; i < 20; i++)
      await expect(stranger.login("ann", `a guess ${i}`)).rejects.toThrow("password is wrong");
    await expect(stranger.login("ann", "a password")).rejects.toThrow("too many wrong passwords");
    again.useLogin(login);
    expect((await again.login("ann", "a password")).userId).toBe(ann.userId);
  });

  test("the 65th open request is refused; sends wait their turn, and the device syncs meanwhile", async () => {
    const ann = await register("ann");
    const find = () => ann.findUser("ann");
    const open = Array.from({ length: 64 }, find);
    await expect(find()).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    await Promise.all(open);
    const held = Promise.withResolvers<void>();
    platform.backend.beforeSend = () => held.promise;
    const to = Array.from({ length: OPEN_SENDS_MAX }, (_, i) => ({ userId: `u-${i}` }));
    const sends = to.map((one) => ann.send(one, "hi"));
    await expect(ann.send({ userId: "u-x" }, "hi")).rejects.toMatchObject({
      code: "RESOURCE_EXHAUSTED",
    });
    await ann.sync();
    held.resolve();
    await Promise.all(sends);
    for (const { userId } of to) expect(platform.backend.inbox(userId)).toHaveLength(1);
  });

  test("groups: create again with the same id, join, list, leave", async () => {
    const [ann, bob] = await Promise.all([register("ann"), register("bob")]);
    const group = await ann.groups.create("friends", [], "request-1");
    expect(await ann.groups.create("friends", [], "request-1")).toBe(group);
    await bob.groups.join(group);
    const { title, members } = await ann.groups.listMembers(group);
    expect([title, members.map((m) => m.userId)]).toEqual(["friends", [ann.userId, bob.userId]]);
    await bob.groups.leave(group);
    expect((await ann.groups.listMembers(group)).members).toHaveLength(1);
    await expect(ann.groups.join("nope")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("what an earlier run sent and heard nothing of is sent again, once", async () => {
    const dir = mkdtempSync(join(tmpdir(), "tricampus-sdk-"));
    const first = new FileStore(join(dir, "ann"));
    const ann = await register("ann", { store: first });
    const login = await ann.login("ann", "a password");
    await ann.connect();
    const held = Promise.withResolvers<void>();
    platform.backend.beforeSend = () => held.promise;
    const lost = ann.send({ userId: "u-x" }, "lost answer").catch((error: RpcError) => error.code);
    await new Promise((resolve) => setTimeout(resolve, 50));
    await ann.close();
    await first.close();
    expect(await lost).toBe("UNAVAILABLE");
    held.resolve();
    await until(() => platform.backend.inbox("u-x").length === 1);
    const second = new FileStore(join(dir, "ann"));
    expect(second.openSends()).toHaveLength(1);
    const again = makeClient({ store: second });
    again.useLogin(login);
    await again.connect();
    await until(() => second.openSends().length === 0);
    expect(platform.backend.inbox("u-x")).toHaveLength(1);
    await again.close();
    await second.close();
    rmSync(dir, { recursive: true });
  });
});

describe("sdk: three campuses", () => {
  beforeEach(async () => {
    platform = await startSmallPlatform({ campuses: ["a", "b", "c"] });
  });

  test("a campus that stops: sends go on elsewhere, each message once, the other side keeps hearing", async () => {
    const [a, b, c] = platform.endpoints;
    const ann = await register("ann", { endpoints: [a!, b!, c!] });
    const bob = await register("bob", { endpoints: [b!, c!, a!] });
    const sent: string[] = [];
    let stopped: Promise<void> | undefined;
    for (let i = 0; i < 60; i++) {
      if (i === 20) stopped = platform.stopCampus(0);
      await ann.send({ userId: bob.userId! }, `${i}`);
      sent.push(`${i}`);
    }
    await stopped;
    expect(ann.campus).not.toBe("a");
    await until(() => bob.store.counts.messages === 60);
    expect(await texts(bob, [ann.userId!, bob.userId!].sort().join(":"))).toEqual(sent);
    expect(platform.backend.inbox(bob.userId!)).toHaveLength(60);
  });

  test("a campus that falls silent: the send under way is acknowledged elsewhere within 2 s", async () => {
    const cable = await layCable(Number(new URL(platform.endpoints[0]!.url).port));
    const endpoints = [
      { campus: "a", url: `http://127.0.0.1:${cable.port}` },
      ...platform.endpoints.slice(1),
    ];
    const ann = await register("ann", { endpoints });
    await ann.send({ userId: "u-x" }, "before");
    expect(ann.campus).toBe("a");
    cable.cut();
    const started = performance.now();
    await ann.send({ userId: "u-x" }, "during");
    expect(performance.now() - started).toBeLessThan(2_000);
    expect(ann.campus).not.toBe("a");
    expect(platform.backend.inbox("u-x").map((m) => m.text)).toEqual(["before", "during"]);
    cable.close();
  });

  test("a campus that dies: who waits is elsewhere at once, idle clients come over 2 s, evenly", async () => {
    const cable = await layCable(Number(new URL(platform.endpoints[0]!.url).port));
    const [, b, c] = platform.endpoints;
    const endpoints = [{ campus: "a", url: `http://127.0.0.1:${cable.port}` }, b!, c!];
    let lostMs = Number.POSITIVE_INFINITY;
    const awayMs: number[] = [];
    const onState = (state: string) => {
      const ms = performance.now() - lostMs;
      if (state === "attached" && ms > 0) awayMs.push(ms);
    };
    const names = Array.from({ length: 24 }, (_, i) => `p${i}`);
    const people = await Promise.all(names.map((name) => register(name, { endpoints, onState })));
    await until(() => platform.backend.syncs >= 48); // each when it came online
    const held = Promise.withResolvers<void>();
    platform.backend.beforeSend = () => held.promise;
    const asking = people[0]!.send({ userId: people[1]!.userId! }, "hi");
    const calling = people[1]!;
    await until(() => platform.backend.calls === 1);
    lostMs = performance.now();
    cable.sever();
    held.resolve();
    await asking;
    // A request ends an idle pause.
    await calling.send({ userId: people[0]!.userId! }, "hi");
    expect(performance.now() - lostMs).toBeLessThan(1_000);
    await until(() => awayMs.length === 24);
    expect(awayMs.filter((ms) => ms > 500).length).toBeGreaterThan(6);
    const atB = people.filter((person) => person.campus === "b").length;
    expect(people.filter((person) => person.campus === "c").length).toBe(24 - atB);
    expect(atB).toBeGreaterThan(3);
    expect(atB).toBeLessThan(21);
  });

  test("with every campus gone the client keeps trying and says why it cannot", async () => {
    const ann = await register("ann", { sendTimeoutMs: 1_000 });
    await Promise.all([0, 1, 2].map((index) => platform.stopCampus(index)));
    await expect(ann.send({ userId: "u-x" }, "hi")).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
    expect(["pausing", "connecting"]).toContain(ann.state);
  });
});
