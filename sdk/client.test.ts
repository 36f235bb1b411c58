import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { TricampusClient } from "./client.ts";
import { type SmallPlatform, startSmallPlatform } from "./testing/small-platform.ts";
import { until } from "./testing/until.ts";

describe("a platform of one campus", () => {
  let platform: SmallPlatform;
  const clients: TricampusClient[] = [];

  beforeEach(async () => {
    platform = await startSmallPlatform();
  });

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await platform.stop();
  });

  async function newClient(
    name: string,
    options: Partial<ConstructorParameters<typeof TricampusClient>[0]> = {},
  ) {
    const client = new TricampusClient({
      endpoints: platform.endpoints,
      device: "phone",
      ...options,
    });
    clients.push(client);
    await client.register(name, "a password");
    await client.connect();
    return client;
  }

  test("sdk: a message arrives once, by push, in both stores", async () => {
    const [ann, bob] = await Promise.all([newClient("ann"), newClient("bob")]);
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
  });
});
