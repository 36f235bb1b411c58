/** The SDK over each transport: the same client, the same promises. */
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { rest } from "../services/svrkit/rest.ts";
import { TricampusClient } from "./client.ts";
import { layCable } from "./testing/cable.ts";
import { type SmallPlatform, startSmallPlatform } from "./testing/small-platform.ts";
import { until } from "./testing/until.ts";
import { framedTcpTransport } from "./transports/framed-tcp.ts";
import { longPollTransport } from "./transports/long-poll.ts";
import type { Transport } from "./transports/transport.ts";
import { webSocketTransport } from "./transports/web-socket.ts";

const TRANSPORTS: [string, Transport][] = [
  ["WebSocket", webSocketTransport],
  ["framed TCP", framedTcpTransport()],
  ["long poll", longPollTransport],
];

let platform: SmallPlatform;
const clients: TricampusClient[] = [];

beforeAll(async () => {
  platform = await startSmallPlatform({ campuses: ["a", "b"] });
});
afterEach(async () => {
  vi.unstubAllGlobals();
  await Promise.all(clients.splice(0).map((client) => client.close()));
});
afterAll(() => platform.stop());

describe.each(TRANSPORTS)("sdk over %s", (way, transport) => {
  const nameOf = (name: string) => `${name}-${way.replace(" ", "-")}`;

  async function online(name: string, endpoints = platform.endpoints): Promise<TricampusClient> {
    const client = new TricampusClient({ endpoints, device: "phone", transport });
    clients.push(client);
    await client.register(nameOf(name), "a password");
    await client.connect();
    return client;
  }

  test("messages arrive by push; an interrupted connection loses and doubles none", async () => {
    const [here, elsewhere] = platform.endpoints;
    const cable = await layCable(Number(new URL(here!.url).port));
    const throughCable = { campus: "a", url: `http://127.0.0.1:${cable.port}` };
    const ann = await online("ann");
    const bob = await online("bob", [throughCable, elsewhere!]);
    const { conversationId } = await ann.send({ userId: bob.userId! }, "1");
    await until(() => bob.store.counts.messages === 1);
    cable.cut();
    await ann.send({ userId: bob.userId! }, "2");
    await bob.send({ userId: ann.userId! }, "3");
    expect(bob.campus).toBe("b");
    await until(() => bob.store.counts.messages === 3);
    await until(() => ann.store.counts.messages === 3);
    const texts = (await bob.store.messages(conversationId)).map(({ text }) => text);
    expect(texts).toEqual(["1", "2", "3"]);
    expect(bob.store.counts.doubles).toBe(0);
    cable.close();
  });

  test("a frame that takes long on a slow network is sent once; cut off in it, it goes elsewhere", async () => {
    const [here, elsewhere] = platform.endpoints;
    const cable = await layCable(Number(new URL(here!.url).port), { bytesPerSecond: 250_000 });
    const throughCable = { campus: "a", url: `http://127.0.0.1:${cable.port}` };
    const client = await online("cy", [throughCable, elsewhere!]);
    let calls = 0;
    platform.backend.beforeSend = async () => {
      calls += 1;
    };
    const large = randomBytes(450_000).toString("hex");
    const send = () => client.send({ userId: "u-x" }, large);
    const startedMs = performance.now();
    await expect(send()).rejects.toMatchObject({ code: "TOO_LARGE" });
    expect(performance.now() - startedMs).toBeGreaterThan(3_000);
    expect([calls, client.campus]).toEqual([1, "a"]);
    const second = expect(send()).rejects.toMatchObject({ code: "TOO_LARGE" });
    await rest(1_500);
    expect(client.campus).toBe("a");
    cable.cut();
    await second;
    expect([calls, client.campus]).toEqual([2, "b"]);
    cable.close();
  });

  test("an answer that takes long on a slow network is asked for once; cut off in it, elsewhere", async () => {
    const [here, elsewhere] = platform.endpoints;
    const slow = { bytesPerSecondDown: 40_000 };
    const cable = await layCable(Number(new URL(here!.url).port), slow);
    const throughCable = { campus: "a", url: `http://127.0.0.1:${cable.port}` };
    const dee = await online("dee");
    const eve = await online("eve", [throughCable, elsewhere!]);
    const syncs = () => platform.backend.syncs;
    const pushLarge = async () => {
      for (let i = 0; i < 2; i++)
        await dee.send({ userId: eve.userId! }, randomBytes(45_000).toString("base64"));
    };
    await dee.send({ userId: eve.userId! }, "are you there");
    await until(() => eve.store.counts.messages === 1);
    await rest(300); // what one asks for after connecting
    const before = syncs();
    const startedMs = performance.now();
    await pushLarge();
    await eve.send({ userId: "u-x" }, "meanwhile");
    expect(performance.now() - startedMs).toBeGreaterThan(1_500);
    await until(() => eve.store.counts.messages === 4, 20_000);
    expect(eve.campus).toBe("a");
    expect(syncs() - before).toBeLessThanOrEqual(1);
    await pushLarge();
    const cut = eve.send({ userId: "u-x" }, "cut off");
    await rest(700);
    expect(eve.campus).toBe("a");
    cable.cut();
    await cut;
    expect(eve.campus).toBe("b");
    await until(() => eve.store.counts.messages === 7, 20_000);
    expect(eve.store.counts.doubles).toBe(0);
    cable.close();
  }, 40_000);

  test("a ticket that is not good is refused, and the client says so", async () => {
    const reasons: string[] = [];
    const client = new TricampusClient({
      ...{ endpoints: platform.endpoints, device: "phone", transport },
      onLoggedOut: (reason) => reasons.push(reason),
    });
    clients.push(client);
    client.useLogin({ userId: "u", ticket: Buffer.alloc(90, 1), expiresAtMs: Date.now() + 60_000 });
    await expect(client.connect()).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
    expect(reasons).toHaveLength(1);
  });
});

test("over long poll where fetch has no streams, as React Native's, what is pushed arrives", async () => {
  const real = globalThis.fetch;
  vi.stubGlobal("fetch", async (...asked: Parameters<typeof fetch>) =>
    Object.defineProperty(await real(...asked), "body", { value: undefined }),
  );
  const [ann, bob] = ["fay", "gus"].map((device) => {
    const { endpoints } = platform;
    return new TricampusClient({ endpoints, device, transport: longPollTransport });
  });
  clients.push(ann!, bob!);
  for (const [name, client] of [
    ["fay", ann!],
    ["gus", bob!],
  ] as const) {
    await client.register(name, "a password");
    await client.connect();
  }
  await ann!.send({ userId: bob!.userId! }, "hi");
  await until(() => bob!.store.counts.messages === 1);
});
