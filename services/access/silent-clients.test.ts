/** Connections on which nothing is said: late Attach, pings, and being let go. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import { type SmallPlatform, startSmallPlatform } from "../../sdk/testing/small-platform.ts";
import { until } from "../../sdk/testing/until.ts";
import { rest } from "../svrkit/rest.ts";
import { SIGN_EVERY_MS } from "./limits.ts";
import { exchange, RawSocket } from "./testing/raw-client.ts";

const ANN = { userId: "u-ann", device: "phone" };

let platform: SmallPlatform;
const open = () => RawSocket.open(platform.endpoints[0]!.url);
const ticket = () =>
  platform.signer.sign({ ...ANN, issuedAtMs: Date.now(), expiresAtMs: Date.now() + 60_000 });

beforeAll(async () => {
  const accessOptions = { attachTimeoutMs: 600, pingEveryMs: 300 };
  platform = await startSmallPlatform({ accessOptions });
});
afterAll(() => platform.stop());

test("access: who neither attaches nor asks is closed in time, who attaches stays", async () => {
  const openedMs = performance.now();
  const [silent, attached] = await Promise.all([open(), open()]);
  await attached.attach(ticket());
  expect(await silent.closed).toBe(1008);
  const tookMs = performance.now() - openedMs;
  expect(tookMs).toBeGreaterThan(550);
  expect(tookMs).toBeLessThan(2_500);
  expect(await attached.ping()).toBe("pong");
  attached.close();
});

test("access: a long poll that does not attach is gone in time, too, and holds its place no longer", async () => {
  const door = { url: platform.endpoints[0]!.url };
  const { body } = await exchange(door, { method: "POST", path: "/v1/poll" });
  const { session } = JSON.parse(body.toString()) as { session: string };
  await rest(1_500);
  const ended = await exchange(door, { method: "GET", path: `/v1/poll/${session}/1` });
  expect(ended.status).toBe(404);
});

test("access: who asks without Attach has as long again after each request", async () => {
  const socket = await open();
  for (let i = 0; i < 4; i++) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await socket.ping()).toBe("pong");
  }
  expect(await socket.closed).toBe(1008);
});

test("access: who is silent is pinged, and stays when it answers", async () => {
  const socket = await open();
  await socket.attach(ticket());
  let pings = 0;
  socket.webSocket.on("ping", () => {
    pings += 1;
  });
  await until(() => pings >= 4);
  expect(await socket.ping()).toBe("pong");
  socket.close();
});

test("access: a WebSocket's own pings are no parts of a frame, and nobody is told that one comes", async () => {
  const socket = await open();
  await socket.attach(ticket());
  for (let i = 0; i < 3; i++) {
    socket.webSocket.ping();
    await rest(SIGN_EVERY_MS + 50);
  }
  expect(await socket.ping()).toBe("pong");
  expect(socket.frames).toEqual([]);
  socket.close();
});

test("access: who talks is not pinged", async () => {
  const socket = await open();
  await socket.attach(ticket());
  let pings = 0;
  socket.webSocket.on("ping", () => {
    pings += 1;
  });
  for (let i = 0; i < 20; i++) {
    await socket.ping();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  expect(pings).toBe(0);
  socket.close();
});

test("access: who answers no ping is let go after the third silence, and its user is offline", async () => {
  const online = async () => {
    const question = { userIds: [ANN.userId], takesIncomplete: true };
    const found = await platform.calleeAs("text").call(Router.lookup, question);
    return found.locations.length;
  };
  const socket = await open();
  const silentFromMs = performance.now();
  await socket.attach(ticket(), { wantPush: true });
  await expect.poll(online).toBe(1);
  socket.webSocket.pause();
  await expect.poll(online, { timeout: 5_000 }).toBe(0);
  expect(performance.now() - silentFromMs).toBeGreaterThan(3 * 300 - 50);
  socket.webSocket.resume();
  expect(await socket.closed).toBe(1006);
});

test("access: a connection whose ticket expires ends; with a newer one on it it stays", async () => {
  const [ends, stays] = await Promise.all([open(), open()]);
  const soon = platform.signer.sign({
    ...{ ...ANN, issuedAtMs: Date.now(), expiresAtMs: Date.now() + 1_000 },
  });
  await Promise.all([ends.attach(soon), stays.attach(soon)]);
  await stays.attach(ticket());
  expect(await ends.closed).toBe(1008);
  expect(ends.frames.map((frame) => frame.kind?.case)).toContain("leave");
  expect(await stays.ping()).toBe("pong");
  stays.close();
});

test("access: a connection whose ticket ends has its open requests answered first, and nothing else", async () => {
  const socket = await open();
  const held = Promise.withResolvers<void>();
  platform.backend.beforeSend = () => held.promise;
  const issuedAtMs = Date.now();
  const soon = platform.signer.sign({ ...ANN, issuedAtMs, expiresAtMs: issuedAtMs + 2_500 });
  await socket.attach(soon, { wantPush: true });
  const value = { method: "Text/Send", body: new Uint8Array(0), trace: false, late: false };
  const answer = socket.ask({ case: "request", value }, 10_000);
  await rest(issuedAtMs + 3_000 - Date.now());
  const refused = await socket.request("Text/Send", new Uint8Array(0));
  expect(refused.kind).toMatchObject({ value: { code: "UNAUTHENTICATED" } });
  expect(socket.frames.map((frame) => frame.kind?.case)).not.toContain("leave");
  held.resolve();
  platform.backend.beforeSend = async () => {};
  await answer;
  expect((await socket.take((frame) => frame.kind?.case === "leave")).id).toBe(0);
  expect(await socket.closed).toBe(1008);
});
