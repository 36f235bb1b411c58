/** What becomes of a message that nobody has answered. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { RpcError } from "../services/svrkit/errors.ts";
import { type ClientOptions, TricampusClient, type Update } from "./client.ts";
import { MemoryStore } from "./store.ts";
import { layCable } from "./testing/cable.ts";
import { type SmallPlatform, startSmallPlatform } from "./testing/small-platform.ts";
import { until } from "./testing/until.ts";

let platform: SmallPlatform;
const clients: TricampusClient[] = [];

beforeEach(async () => {
  platform = await startSmallPlatform();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await platform.stop();
});

function makeClient(options: Partial<ClientOptions> = {}): TricampusClient {
  const { endpoints } = platform;
  const client = new TricampusClient({ endpoints, device: "phone", ...options });
  clients.push(client);
  return client;
}

async function register(name: string, options: Partial<ClientOptions>): Promise<TricampusClient> {
  const client = makeClient(options);
  await client.register(name, "a password");
  await client.connect();
  return client;
}

test("M1: what is sent in a tunnel longer than one waits arrives behind it, once, in its order", async () => {
  const cable = await layCable(Number(new URL(platform.endpoints[0]!.url).port));
  const updates: Update[] = [];
  const ann = await register("ann", {
    endpoints: [{ campus: "a", url: `http://127.0.0.1:${cable.port}` }],
    sendTimeoutMs: 400,
    onUpdate: (update) => updates.push(update),
  });
  const to = { userId: "u-x" };
  await ann.send(to, "before");
  cable.cut();
  const texts = ["one", "two", "three"];
  const heard = await Promise.allSettled(texts.map((text, i) => ann.send(to, text, `id-${i}`)));
  for (const [i, told] of heard.entries()) {
    expect(told).toMatchObject({
      reason: { code: "DEADLINE_EXCEEDED", clientMessageId: `id-${i}` },
    });
  }
  expect(heard[0]).toMatchObject({ reason: { message: expect.stringContaining("stays open") } });
  expect(ann.giveUp("id-2")).toBe(true);
  expect(ann.giveUp("id-2")).toBe(false);
  cable.mend();
  await until(() => ann.store.openSends().length === 0);
  expect(platform.backend.inbox("u-x").map(({ text }) => text)).toEqual(["before", "one", "two"]);
  const outcomes = updates.flatMap((update) => (update.kind === "send" ? [update.send] : []));
  expect(outcomes.map((send) => [send.clientMessageId, send.outcome.state])).toEqual([
    ["id-2", "failed"],
    ["id-0", "acknowledged"],
    ["id-1", "acknowledged"],
  ]);
  cable.close();
});

test("a message of which the platform does not know what became is sent again", async () => {
  const ann = await register("ann", { sendTimeoutMs: 200 });
  let calls = 0;
  platform.backend.beforeSend = () =>
    ++calls === 1 ? new Promise<void>(() => {}) : Promise.resolve();
  await expect(ann.send({ userId: "u-x" }, "hi")).rejects.toThrow("stays open");
  await until(() => ann.store.openSends().length === 0, 15_000);
  expect(platform.backend.inbox("u-x")).toHaveLength(1);
}, 20_000);

test("an open message ends when its time is over, in an earlier run as in this one", async () => {
  const store = new MemoryStore();
  const ann = await register("ann", { store });
  await ann.close();
  const old = { to: { userId: "u-x" }, text: "old", outcome: { state: "open" } } as const;
  const sentAtMs = Date.now() - 7 * 24 * 3_600_000;
  store.recordSend({ ...old, clientMessageId: "old", sentAtMs });
  const updates: Update[] = [];
  const again = makeClient({
    ...{ store, sendTimeoutMs: 1_000, resendForMs: 2_500 },
    onUpdate: (update) => updates.push(update),
  });
  platform.backend.beforeSend = async () => {
    throw new RpcError("OVERLOADED", "not now");
  };
  await again.login("ann", "a password");
  await expect(again.send({ userId: "u-x" }, "new", "new")).rejects.toThrow("not now");
  await until(() => updates.filter(({ kind }) => kind === "send").length === 2);
  const outcomes = (await store.sends()).map(({ outcome }) => outcome);
  expect(outcomes).toMatchObject(Array(2).fill({ state: "failed", code: "DEADLINE_EXCEEDED" }));
  expect(platform.backend.inbox("u-x")).toEqual([]);
});

test("a ticket that is refused while a message is open: the next log-in sends it", async () => {
  const ann = await register("ann", { sendTimeoutMs: 10_000 });
  const { userId } = ann;
  platform.backend.beforeSend = async () => {
    throw new RpcError("UNAUTHENTICATED", "this device was logged out");
  };
  await expect(ann.send({ userId: "u-x" }, "hi")).rejects.toMatchObject({
    code: "UNAUTHENTICATED",
  });
  platform.backend.beforeSend = async () => {};
  expect((await ann.login("ann", "a password")).userId).toBe(userId);
  await until(() => ann.store.openSends().length === 0);
  expect(platform.backend.inbox("u-x")).toHaveLength(1);
});
