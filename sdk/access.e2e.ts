/** Every way in, on a whole platform; and clients that learn where else to go. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import { People } from "./testing/people.ts";
import { framedTcpTransport } from "./transports/framed-tcp.ts";
import { longPollTransport } from "./transports/long-poll.ts";
import { webSocketTransport } from "./transports/web-socket.ts";

let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  platform = await startWholePlatform();
  people = new People(platform.endpoints);
});
beforeEach(() => people.nextScene());
afterAll(async () => {
  await people.close();
  await platform.stop();
});

test("three people by three ways: each gets what the others say, also who was offline", async () => {
  const ann = await people.online("ann", { campus: "a", transport: webSocketTransport });
  const bob = await people.online("bob", { campus: "b", transport: framedTcpTransport() });
  const cid = await people.offline("cid", { campus: "c", transport: longPollTransport });
  const group = await ann.client.groups.create("Ways", [bob.id, cid.id]);
  await ann.client.send({ groupId: group }, "by WebSocket");
  await bob.client.send({ groupId: group }, "by TCP");
  await cid.client.connect();
  await expect.poll(() => cid.client.store.counts.messages).toBe(3);
  await cid.client.send({ groupId: group }, "by long poll");
  for (const { client } of [ann, bob, cid]) {
    await expect.poll(() => client.store.counts.messages).toBe(4);
    const texts = (await client.store.messages(group)).map(({ text }) => text).slice(1);
    expect(new Set(texts)).toEqual(new Set(["by WebSocket", "by TCP", "by long poll"]));
  }
});

test("a client that was told of one campus finds the others when that one stops", async () => {
  const onlyA = new People([platform.endpoints[0]!]);
  const ann = await onlyA.online("ann");
  const bob = await people.online("bob", { campus: "c" });
  await new Promise((resolve) => setTimeout(resolve, 11_000)); // it asks within 10 s
  await platform.stopCampus("a");
  const { conversationId } = await ann.client.send({ userId: bob.id }, "still here");
  expect(ann.client.campus).not.toBe("a");
  await expect
    .poll(async () => (await bob.client.store.messages(conversationId)).map(({ text }) => text))
    .toEqual(["still here"]);
  await onlyA.close();
});
