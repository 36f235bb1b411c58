/** What becomes of a message that nobody has answered. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { makeContent, makeVoice } from "../protos/gen/tricampus/client/v1/content_codec.ts";
import { decodeServerFrame } from "../protos/gen/tricampus/client/v1/frame_codec.ts";
import { fromBytes } from "../services/svrkit/codec.ts";
import { type Code, RpcError } from "../services/svrkit/errors.ts";
import { type ClientOptions, TricampusClient, type Update } from "./client.ts";
import { FileStore } from "./file-store.ts";
import { MemoryStore } from "./store.ts";
import { layCable } from "./testing/cable.ts";
import { type SmallPlatform, startSmallPlatform } from "./testing/small-platform.ts";
import { until } from "./testing/until.ts";
import type { Transport } from "./transports/transport.ts";
import { webSocketTransport } from "./transports/web-socket.ts";

let platform: SmallPlatform;
const clients: TricampusClient[] = [];

beforeEach(async () => {
  platform = await startSmallPlatform();
});
afterEach(async () => {
  vi.restoreAllMocks();
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

test("what is sent before the log-in goes with it", async () => {
  const ann = makeClient({ sendTimeoutMs: 100 });
  await expect(ann.send({ userId: "u-x" }, "hi")).rejects.toThrow("stays open");
  await ann.register("ann", "a password");
  await until(() => ann.store.openSends().length === 0);
  expect(platform.backend.inbox("u-x")).toHaveLength(1);
});

test("a failure that leaves open whether the message is taken is no answer", async () => {
  const ann = await register("ann", { sendTimeoutMs: 10_000 });
  const codes: Code[] = ["OUTCOME_UNKNOWN", "INTERNAL", "ABORTED", "FENCED", "MOVED"];
  platform.backend.beforeSend = async () => {
    const code = codes.shift();
    if (code !== undefined) throw new RpcError(code, "behind the commit");
  };
  await ann.send({ userId: "u-x" }, "hi");
  expect(codes).toEqual([]);
  expect(platform.backend.inbox("u-x")).toHaveLength(1);
});

test("after a crash the same content under the same id is the same message", async () => {
  const directory = mkdtempSync(join(tmpdir(), "tricampus-outbox-"));
  const path = join(directory, "store");
  const content = makeContent({
    body: { case: "voice", value: makeVoice({ data: new Uint8Array([1, 2, 3]) }) },
  });
  const [id, to, said] = ["id", { userId: "u-x" }, { text: "see", content }] as const;
  const first = new FileStore(path);
  const outcome = { state: "open" } as const;
  first.recordSend({ clientMessageId: id, to, ...said, sentAtMs: Date.now(), outcome });
  await first.close();
  platform.backend.beforeSend = () => new Promise(() => {});
  const store = new FileStore(path);
  const ann = await register("ann", { store, sendTimeoutMs: 100 });
  await expect(ann.send(to, said, id)).rejects.toThrow("stays open");
  await ann.close();
  await store.close();
  rmSync(directory, { recursive: true });
});

test("a message under way ends with its time, by the clock: a machine may have slept", async () => {
  const ann = await register("ann", { sendTimeoutMs: 10_000 });
  platform.backend.beforeSend = () => new Promise(() => {});
  const told = expect(ann.send({ userId: "u-x" }, "hi")).rejects.toThrow("platform knows an id");
  await until(() => platform.backend.calls === 1);
  const now = Date.now.bind(Date);
  vi.spyOn(Date, "now").mockImplementation(() => now() + 6 * 24 * 3_600_000);
  await told;
  expect(ann.store.openSends()).toEqual([]);
});

test("a client with open messages connects when it is told to", async () => {
  const store = new MemoryStore();
  const ann = await register("ann", { store });
  const login = await ann.login("ann", "a password");
  await ann.close();
  const open = { to: { userId: "u-x" }, text: "hi", outcome: { state: "open" } } as const;
  store.recordSend({ ...open, clientMessageId: "open", sentAtMs: Date.now() });
  const again = makeClient({ store });
  again.useLogin(login);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(again.state).toBe("idle");
  await again.connect();
  await until(() => store.openSends().length === 0);
});

test("given up and sent again under its id: each answer is its own's", async () => {
  const ann = await register("ann", {});
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let calls = 0;
  platform.backend.beforeSend = async () => {
    if (++calls === 1) return first.promise;
    await second.promise;
    throw new RpcError("PERMISSION_DENIED", "blocked");
  };
  const to = { userId: "u-x" };
  const givenUp = expect(ann.send(to, "hi", "id")).rejects.toThrow("given up");
  await until(() => calls === 1);
  ann.giveUp("id");
  const told = expect(ann.send(to, "hi", "id")).rejects.toThrow("blocked");
  first.resolve();
  await givenUp;
  await until(() => platform.backend.inbox("u-x").length === 1 && calls === 2);
  await new Promise((resolve) => setTimeout(resolve, 20));
  second.resolve();
  await told;
});

test("sends that nobody answers hold up those to their recipient alone, whose order they keep", async () => {
  const ann = await register("ann", { sendTimeoutMs: 20_000 });
  const groupId = await ann.groups.create("stuck", [], "1");
  const held = Promise.withResolvers<void>();
  platform.backend.beforeSend = ({ to }) =>
    to?.case === "groupId" ? held.promise : Promise.resolve();
  const texts = Array.from({ length: 60 }, (_, i) => `${i}`);
  const stuck = texts.map((text) => ann.send({ groupId }, text));
  await until(() => platform.backend.calls > 0);
  for (const text of texts) await ann.send({ userId: "u-friend" }, text);
  const together = texts.map((text) => ann.send({ userId: "u-friend" }, text));
  await Promise.all(together);
  const friends = platform.backend.inbox("u-friend").map(({ text }) => text);
  expect(friends).toEqual([...texts, ...texts]);
  expect(platform.backend.inbox(ann.userId!)).toHaveLength(120);
  held.resolve();
  await Promise.all(stuck);
  const own = platform.backend.inbox(ann.userId!).filter((one) => one.conversationId === groupId);
  expect(own.map(({ text }) => text)).toEqual(texts);
});

test("what finds no place behind sends to its recipient is refused at once; to others there are", async () => {
  const ann = await register("ann", { sendTimeoutMs: 20_000 });
  const held = Promise.withResolvers<void>();
  platform.backend.beforeSend = ({ to }) =>
    to?.value === "u-stuck" ? held.promise : Promise.resolve();
  const send = (i: number) => ann.send({ userId: "u-stuck" }, `${i}`, `id-${i}`);
  const stuck = Array.from({ length: 167 }, (_, i) => send(i));
  const refusal = /^167 messages to this recipient .* not sent; wait for one of them, or give one/;
  await expect(send(167)).rejects.toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    message: expect.stringMatching(refusal),
  });
  expect(ann.store.openSends()).toHaveLength(167);
  await ann.send({ userId: "u-friend" }, "hi");
  const givenUp = expect(stuck[166]).rejects.toThrow("given up");
  ann.giveUp("id-166");
  await givenUp;
  const last = send(167);
  held.resolve();
  await Promise.all([...stuck.slice(0, 166), last]);
});

test("recipients for whom nobody answers, however many, leave places for others, and get all in the end", async () => {
  const ann = await register("ann", { sendTimeoutMs: 40_000 });
  let isStuck = true;
  platform.backend.beforeSend = async ({ to }) => {
    if (isStuck && to?.value?.startsWith("u-stuck"))
      throw new RpcError("DEADLINE_EXCEEDED", "the recipient's inbox does not answer");
  };
  const recipients = Array.from({ length: 12 }, (_, i) => `u-stuck${i}`);
  const texts = Array.from({ length: 18 }, (_, i) => String.fromCharCode(97 + i));
  // One recipient after the other: so nine of them have all places on the way.
  const stuck = recipients.flatMap((userId) => texts.map((text) => ann.send({ userId }, text)));
  await until(() => platform.backend.calls > 40);
  for (const text of texts.slice(0, 5)) await ann.send({ userId: "u-friend" }, text);
  await Promise.all(recipients.map((_, i) => ann.send({ userId: `u-friend${i}` }, "hi")));
  isStuck = false;
  await Promise.all(stuck);
  for (const userId of recipients) {
    const got = platform.backend.inbox(userId).map(({ text }) => text);
    expect(got.toSorted()).toEqual(texts);
  }
}, 60_000);

test("failures of what was given up a moment before are nobody's", async () => {
  const network = holdableNetwork();
  const ann = await register("ann", { sendTimeoutMs: 20_000, transport: network.transport });
  platform.backend.beforeSend = async ({ to }) => {
    if (to?.value === "u-stuck") throw new RpcError("DEADLINE_EXCEEDED", "nobody");
  };
  network.hold();
  const ids = Array.from({ length: 16 }, (_, i) => `id-${i}`);
  const sends = ids.map((id) => ann.send({ userId: "u-stuck" }, id, id));
  const told = Promise.allSettled(sends);
  await until(() => network.kinds().includes("failure"));
  for (const id of ids) expect(ann.giveUp(id)).toBe(true);
  expect(() => network.release()).not.toThrow();
  for (const outcome of await told) expect(outcome).toMatchObject({ status: "rejected" });
  await ann.send({ userId: "u-friend" }, "hi");
});

test("what is taken back goes again before what is behind it, also when its recipient answers at once", async () => {
  const network = holdableNetwork();
  const ann = await register("ann", { sendTimeoutMs: 20_000, transport: network.transport });
  const came: string[] = [];
  const others = Promise.withResolvers<void>();
  platform.backend.beforeSend = async ({ text }) => {
    came.push(text);
    // Of "a" to "p", which go at once, the failure of "a" takes "p" back; "b" is taken.
    if (text === "a" && came.length === 1) throw new RpcError("DEADLINE_EXCEEDED", "nobody");
    if (text === "b") await until(() => network.kinds().includes("failure"));
    else if (came.length <= 16) await others.promise;
  };
  network.hold();
  const texts = Array.from({ length: 20 }, (_, i) => String.fromCharCode(97 + i));
  const sends = texts.map((text) => ann.send({ userId: "u-x" }, text));
  await until(() => came.length >= 16 && network.kinds().includes("body"));
  network.release();
  await until(() => came.includes("q"));
  others.resolve();
  await Promise.all(sends);
  const again = came.slice(16).filter((text) => text !== "a");
  expect(again.slice(0, 2)).toEqual(["p", "q"]);
});

/** While it is held nothing comes from it; then all of that does, before anything else happens. */
function holdableNetwork() {
  const frames: { readonly bytes: Uint8Array; readonly received: (bytes: Uint8Array) => void }[] =
    [];
  let isHeld = false;
  const transport: Transport = (url, { opened, received, closed }) =>
    webSocketTransport(url, {
      ...{ opened, closed },
      received: (bytes) => (isHeld ? void frames.push({ bytes, received }) : received(bytes)),
    });
  return {
    transport,
    hold: () => {
      isHeld = true;
    },
    release: () => {
      isHeld = false;
      for (const { bytes, received } of frames.splice(0)) received(bytes);
    },
    kinds: () => frames.map(({ bytes }) => fromBytes(decodeServerFrame, bytes).kind?.case),
  };
}
