/** A whole platform with an integrator's servers for events and for pushes. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Router } from "../../../protos/gen/tricampus/router/v1/router_codec.ts";
import { People, type Person } from "../../../sdk/testing/people.ts";
import { startWholePlatform, type WholePlatform } from "../../platform/testing/whole-platform.ts";
import { DeadLetters } from "../../queue/dead-letters-client.ts";
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
const server = createServer(async (request, response) => {
  const body = await readText(request);
  const signature = String(request.headers[SIGNATURE_HEADER]);
  const at = Number(/^t=(\d+),/.exec(signature)?.[1]);
  if (signature !== signatureOf("shared", at, body)) unsigned += 1;
  if (status === 200) {
    const { events = [], pushes = [] } = JSON.parse(body) as Partial<typeof received>;
    received.events.push(...events);
    received.pushes.push(...pushes);
  }
  response.writeHead(status).end();
});
let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const secretFile = join(dir, "secret");
  writeFileSync(secretFile, "shared\n");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const endpoint = { url, secretFile, attempts: 2, pauseFirstMs: 5 };
  const hooks = [...HOOKS];
  platform = await startWholePlatform({
    ...{ text: { hooks }, fanout: { hooks } },
    hooks: { events: endpoint, pushes: { ...endpoint, withText: true } },
  });
  people = new People(platform.endpoints);
});
beforeEach(() => {
  people.nextScene();
  status = 200;
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

/** Every router knows so many of the person's connections. */
async function untilConnections({ id }: Person, count: number): Promise<void> {
  for (const [index, campus] of ["a", "b", "c"].entries()) {
    const router = platform.callee("router", "text", campus);
    const ask = () => router.call(Router.lookup, { userIds: [id] }, { order: [index] });
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

test("dead letters: what no server took is kept, messages go on, and later events are told", async () => {
  const [ann, bob] = [await people.online("ann"), await people.online("bob", { campus: "c" })];
  await untilConnections(bob, 1);
  const letters = new DeadLetters(platform.kv);
  status = 500;
  await ann.client.send({ userId: bob.id }, "lost");
  await expect.poll(() => bob.heard.map(({ text }) => text)).toEqual(["lost"]);
  const kept = () => letters.list({ limit: 10 });
  await expect.poll(kept).toMatchObject([{ stream: expect.stringMatching(/^events\//) }]);
  expect((await kept())[0]!.why).toBe("status 500");
  status = 200;
  const told = await ann.client.send({ userId: bob.id }, "told");
  await expect.poll(() => events(told.conversationId)).toEqual(["2 message.sent told"]);
});
