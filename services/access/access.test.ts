/**
 * Access with real sockets: nothing a client sends hurts anybody. That all ways in give the same:
 * conformance.test.ts.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makePushRequest, Push } from "../../protos/gen/tricampus/access/v1/push_codec.ts";
import { encodeClientFrame } from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import {
  encodeSendRequest,
  makeSendRequest,
} from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { type SmallPlatform, startSmallPlatform } from "../../sdk/testing/small-platform.ts";
import { until } from "../../sdk/testing/until.ts";
import { toBytes } from "../svrkit/codec.ts";
import { codes } from "../svrkit/errors.ts";
import { rest } from "../svrkit/rest.ts";
import { newTicketKeys, TicketSigner } from "../svrkit/ticket/sign.ts";
import { border } from "../svrkit/transport/border.ts";
import { lengthPrefixed } from "../svrkit/transport/length-prefixed.ts";
import { UNATTACHED_GRACE_MS } from "./limits.ts";
import { exchange, post, type RawDoor, RawPoll, RawSocket, RawTcp } from "./testing/raw-client.ts";

let platform: SmallPlatform;
let url: string;
let door: RawDoor;

beforeAll(async () => {
  const userLimits = { userConnectionsMax: 2, userRequestsPerSecond: 5, userBurst: 400 };
  const accessOptions = { connectionsMax: 8, ...userLimits };
  platform = await startSmallPlatform({ accessOptions });
  url = platform.endpoints[0]!.url;
  door = { url };
});

afterAll(() => platform.stop());

const ANN = { userId: "u-ann", device: "phone" };
const BOB = { userId: "u-bob", device: "phone" };
const NONE = new Uint8Array(0);

function ticketOf(
  who: { userId: string; device: string },
  facts: { ageMs?: number } = {},
): Uint8Array {
  const issuedAtMs = Date.now() - (facts.ageMs ?? 0);
  return platform.signer.sign({ ...who, issuedAtMs, expiresAtMs: issuedAtMs + 60_000 });
}

const forged = () => {
  const expiresAtMs = Date.now() + 60_000;
  return new TicketSigner("test", newTicketKeys().privateKey).sign({
    ...ANN,
    issuedAtMs: 1,
    expiresAtMs,
  });
};
const frame = (id: number, method: string, body: Uint8Array) =>
  toBytes(encodeClientFrame, {
    ...{ id, takesParts: false },
    kind: { case: "request", value: { method, body, trace: false, late: false } },
  });
const goodSend = () => {
  const to = { case: "userId", value: "u-bob" } as const;
  return toBytes(encodeSendRequest, makeSendRequest({ clientMessageId: "c9", to, text: "hello" }));
};
const withBadUtf8 = (bytes: Buffer, text: string) => {
  const copy = Buffer.from(bytes);
  copy[copy.indexOf(text)] = 0xff;
  return copy;
};
const frames: [string, () => Buffer | string, number, string][] = [
  ["a text message", () => "hello", 0, "INVALID_ARGUMENT"],
  ["nothing", () => Buffer.alloc(0), 0, "INVALID_ARGUMENT"],
  ["garbage", () => Buffer.alloc(40, 0xff), 0, "INVALID_ARGUMENT"],
  [
    "a frame cut off",
    () => frame(7, "Text/Send", goodSend()).subarray(0, -3),
    7,
    "INVALID_ARGUMENT",
  ],
  ["a length past the end", () => Buffer.from([8, 7, 26, 127, 10, 1, 65]), 7, "INVALID_ARGUMENT"],
  ["id 0", () => frame(0, "Text/Send", goodSend()), 0, "INVALID_ARGUMENT"],
  ["an id and nothing else", () => Buffer.from([8, 7]), 7, "INVALID_ARGUMENT"],
  [
    "bad UTF-8 in the method",
    () => withBadUtf8(frame(7, "Text/Send", goodSend()), "Text"),
    7,
    "INVALID_ARGUMENT",
  ],
  [
    "bad UTF-8 in the text",
    () => withBadUtf8(frame(7, "Text/Send", goodSend()), "hello"),
    7,
    "INVALID_ARGUMENT",
  ],
  [
    "a body that is none",
    () => frame(7, "Text/Send", Buffer.from([10, 99, 1])),
    7,
    "INVALID_ARGUMENT",
  ],
  ["an unknown method", () => frame(7, "Text/\u0007", goodSend()), 7, "UNIMPLEMENTED"],
  ["another device's Attach", () => attachOf(BOB), 7, "FAILED_PRECONDITION"],
  [
    "a forged Attach",
    () => toBytes(encodeClientFrame, { takesParts: false, id: 7, kind: attachKind(forged()) }),
    7,
    "UNAUTHENTICATED",
  ],
];
const attachKind = (ticket: Uint8Array) =>
  ({ case: "attach", value: { ticket, snapshot: NONE, wantPush: false } }) as const;
const attachOf = (who: typeof ANN) =>
  toBytes(encodeClientFrame, { takesParts: false, id: 7, kind: attachKind(ticketOf(who)) });

/** Its path. */
async function openPoll(): Promise<string> {
  const { body } = await exchange(door, { method: "POST", path: "/v1/poll" });
  return `/v1/poll/${(JSON.parse(body.toString()) as { session: string }).session}`;
}

const bodies: [string, string | Uint8Array<ArrayBuffer>, number, string][] = [
  ["no JSON", "{", 400, "INVALID_ARGUMENT"],
  ["another type", "[]", 400, "INVALID_ARGUMENT"],
  ["an unknown field", '{"nope":1}', 400, "INVALID_ARGUMENT"],
  ["a number as text", '{"text":1}', 400, "INVALID_ARGUMENT"],
  [
    "bad UTF-8",
    Uint8Array.from(
      Buffer.from('{"clientMessageId":"cb","userId":"u-bob","text":"\xff"}', "latin1"),
    ),
    400,
    "INVALID_ARGUMENT",
  ],
  [
    "half a surrogate pair",
    '{"clientMessageId":"c","userId":"u-bob","text":"\\ud800"}',
    400,
    "INVALID_ARGUMENT",
  ],
  ["over 1 MiB", `{"text":"${"x".repeat(1024 * 1024)}"}`, 413, "TOO_LARGE"],
];

describe("access: what no client should send", () => {
  test.each(frames)("over WebSocket: %s; the connection goes on", async (_, bytes, id, code) => {
    const socket = await RawSocket.open(url);
    await socket.attach(ticketOf(ANN));
    const message = bytes();
    socket.webSocket.send(message, { binary: typeof message !== "string" });
    const failure = await socket.take((f) => f.kind?.case === "failure");
    expect(failure).toMatchObject({ id, kind: { value: { code } } });
    expect(await socket.ping()).toBe("pong");
    expect((await socket.request("Text/Send", goodSend())).kind?.case).toBe("body");
    socket.close();
  });

  test("over WebSocket: a request before Attach", async () => {
    const socket = await RawSocket.open(url);
    const answer = await socket.request("Text/Send", goodSend());
    expect(answer.kind).toMatchObject({
      value: { code: "UNAUTHENTICATED", message: "no ticket was sent: log in first" },
    });
    await socket.attach(ticketOf(ANN));
    expect((await socket.request("Text/Send", goodSend())).kind?.case).toBe("body");
    socket.close();
  });

  test("over WebSocket: a frame over 1 MiB ends its own connection with 1009, no other", async () => {
    const [big, other] = await Promise.all([RawSocket.open(url), RawSocket.open(url)]);
    await big.attach(ticketOf(ANN));
    await other.attach(ticketOf(ANN));
    big.webSocket.send(Buffer.alloc(1024 * 1024 + 1));
    expect(await big.closed).toBe(1009);
    expect(await other.ping()).toBe("pong");
    other.close();
  });

  test("over TCP: frames in pieces, a frame over 1 MiB, another version", async () => {
    const tcp = await RawTcp.open(door);
    const bytes = lengthPrefixed(
      toBytes(encodeClientFrame, { takesParts: false, id: 9, kind: { case: "ping", value: {} } }),
    );
    for (const byte of bytes) {
      tcp.socket.write(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    await tcp.take(({ id, kind }) => id === 9 && kind?.case === "pong");
    tcp.send(Buffer.alloc(1024 * 1024 + 1));
    const leave = await tcp.take((f) => f.kind?.case === "leave");
    expect(leave.kind?.value).toEqual({ reason: "a frame has at most 1048576 bytes" });
    await tcp.closed;
    const { hostname, port } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    socket.write(Buffer.from([0, 0x54, 0x43, 2]));
    const [answer] = (await once(socket, "data")) as [Buffer];
    expect(answer.toString()).toContain("no version of the protocol");
    socket.destroy();
  });

  test("over long polls: what was lost comes again, once; what does not follow is refused", async () => {
    const poll = await RawPoll.open(door);
    const at = (method: string, path: string, body?: Uint8Array) =>
      exchange(door, { method, path: `${poll.path}${path}`, ...(body && { body }) });
    const ping = (id: number) =>
      lengthPrefixed(
        toBytes(encodeClientFrame, { takesParts: false, id, kind: { case: "ping", value: {} } }),
      );
    for (const _ of [1, 2, 3]) expect((await at("POST", "/1", ping(1))).status).toBe(204);
    await poll.take(({ id }) => id === 1);
    expect((await at("POST", "/2", ping(2))).status).toBe(204);
    await poll.take(({ id }) => id === 2);
    expect(poll.frames).toEqual([]);
    expect((await at("POST", "/4", ping(4))).status).toBe(409);
    expect((await at("GET", "/9")).status).toBe(409);
    expect((await at("GET", "/x")).status).toBe(400);
    expect((await at("POST", "/3", Buffer.alloc(3))).status).toBe(400);
    expect((await at("POST", "/3", Buffer.alloc(5, 0xff))).status).toBe(400);
    const again = (await at("GET", "/2")).body;
    expect(again).toEqual((await at("GET", "/2")).body);
    expect((await at("DELETE", "")).status).toBe(204);
    expect((await at("POST", "/3", ping(3))).status).toBe(404);
    expect((await exchange(door, { method: "GET", path: "/v1/poll/guessed/1" })).status).toBe(404);
  });

  test("over HTTP and WebSocket: what is large is compressed for who takes it", async () => {
    const groupId = "g-u-ann-large";
    const title = "t".repeat(120);
    const members = Array.from({ length: 400 }, (_, i) => `u-${i}`);
    const request = { title, members, clientRequestId: "large" };
    await post(door, "Group/Create", JSON.stringify(request), ticketOf(ANN));
    const headers = {
      authorization: `Bearer ${Buffer.from(ticketOf(ANN)).toString("base64url")}`,
      "accept-encoding": "gzip",
    };
    const path = "/v1/Group/ListMembers";
    const asked = { method: "POST", path, body: JSON.stringify({ groupId }), headers };
    const answer = await exchange(door, asked);
    expect(answer.headers["content-encoding"]).toBe("gzip");
    const whole = JSON.parse(gunzipSync(answer.body).toString()) as { members: unknown[] };
    expect(whole.members).toHaveLength(401);
    expect(answer.body.length).toBeLessThan(4_000);
    const socket = await RawSocket.open(url);
    expect(socket.webSocket.extensions).toBe("permessage-deflate");
    socket.close();
  });

  test("over WebSocket: who sends nothing but garbage is let go", async () => {
    const socket = await RawSocket.open(url);
    for (let i = 0; i < 100; i++) socket.webSocket.send(Buffer.alloc(10, 0xff));
    expect(await socket.closed).toBe(1002);
  });

  test.each(bodies)("over HTTP: %s", async (_, body, status, code) => {
    const answer = await post(door, "Text/Send", body, ticketOf(ANN));
    expect(answer).toMatchObject({ status, json: { code, retryable: false } });
    expect(codes[code as keyof typeof codes].http).toBe(status);
  });

  test("over HTTP: another path, another verb, another kind of authorization", async () => {
    const elsewhere = await fetch(`${url}/nope`);
    expect([elsewhere.status, await elsewhere.json()]).toMatchObject([404, { code: "NOT_FOUND" }]);
    const get = await fetch(`${url}/v1/Text/Send`);
    expect([get.status, await get.json()]).toMatchObject([404, { code: "NOT_FOUND" }]);
    const basic = await post(door, "Text/Send", "{}", NONE, { authorization: "Basic eDp5" });
    expect(basic).toMatchObject({ status: 401, json: { code: "UNAUTHENTICATED" } });
  });
});

describe("access: limits and life", () => {
  test("one user that asks too often, or with too many connections, is refused; others are not", async () => {
    const who = { userId: "u-eager", device: "d" };
    const outcomes = await Promise.all(
      Array.from({ length: 450 }, () => post(door, "Sync/Sync", '{"limit":1}', ticketOf(who))),
    );
    const refused = outcomes.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]!.json).toMatchObject({ code: "RESOURCE_EXHAUSTED" });
    expect((await post(door, "Sync/Sync", "{}", ticketOf(BOB))).status).toBe(200);
    const three = await Promise.all(Array.from({ length: 3 }, () => RawSocket.open(url)));
    const ticket = ticketOf({ userId: "u-many", device: "d" });
    for (const socket of three.slice(0, 2)) await socket.attach(ticket);
    const failure = await three[2]!.attach(ticket);
    expect(failure.kind).toMatchObject({ value: { code: "RESOURCE_EXHAUSTED" } });
    three[0]!.close();
    await three[0]!.closed;
    await expect.poll(async () => (await three[2]!.attach(ticket)).kind?.case).toBe("attached");
    for (const socket of three) socket.close();
  });

  const kind = {
    case: "request",
    value: { method: "Text/Send", body: NONE, trace: false, late: false },
  } as const;

  test("257 open requests on one connection: the last is refused, the others are answered", async () => {
    const socket = await RawSocket.open(url);
    await socket.attach(ticketOf(ANN));
    const held = Promise.withResolvers<void>();
    platform.backend.beforeSend = () => held.promise;
    for (let id = 1_001; id <= 1_257; id++)
      socket.webSocket.send(toBytes(encodeClientFrame, { takesParts: false, id, kind }));
    const refused = await socket.take((f) => f.kind?.case === "failure");
    expect(refused).toMatchObject({ id: 1_257, kind: { value: { code: "RESOURCE_EXHAUSTED" } } });
    held.resolve();
    platform.backend.beforeSend = async () => {};
    await until(() => socket.frames.length === 256);
    socket.close();
  });

  test("a connection too many is refused with 503, and one that ends makes room", async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => RawSocket.open(url)));
    for (const [i, socket] of all.entries())
      await socket.attach(ticketOf({ userId: `u-${i}`, device: "d" }));
    await rest(UNATTACHED_GRACE_MS);
    await expect(RawSocket.open(url)).rejects.toThrow("503");
    all[0]!.close();
    await all[0]!.closed;
    const again = await RawSocket.open(url);
    expect(await again.ping()).toBe("pong");
    for (const socket of [...all, again]) socket.close();
    await Promise.all(all.map((socket) => socket.closed));
  });

  test("connections that nobody attaches make room for newer ones, the oldest first", async () => {
    const polls = await Promise.all(Array.from({ length: 7 }, () => openPoll()));
    const first = await RawSocket.open(url);
    await rest(UNATTACHED_GRACE_MS);
    const socket = await RawSocket.open(url);
    await socket.attach(ticketOf(ANN));
    const statusOf = async (path: string) =>
      (await exchange(door, { method: "POST", path: `${path}/1` })).status;
    expect(await statusOf(polls[0]!)).toBe(404);
    expect(await statusOf(polls[1]!)).toBe(204);
    // Who has attached does not make room.
    for (let i = 0; i < 9; i++) polls.push(await openPoll());
    expect(await first.closed).toBe(1006);
    expect(await socket.ping()).toBe("pong");
    socket.close();
    for (const path of polls) await exchange(door, { method: "DELETE", path });
  });

  test("a WebSocket that is refused leaves no socket behind", async () => {
    const sockets = () =>
      process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;
    const before = sockets();
    const { port, hostname: host } = new URL(url);
    const refused = Array.from({ length: 20 }, async () => {
      const socket = connect({ host, port: Number(port) });
      const head = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket";
      socket.write(`GET /v1/elsewhere HTTP/1.1\r\n${head}\r\n\r\n`);
      expect(String((await once(socket, "data"))[0])).toMatch(/^HTTP\/1.1 404/);
      socket.write("what nobody reads");
      await once(socket, "close");
    });
    await Promise.all(refused);
    await expect.poll(sockets).toBeLessThan(before + 10);
  });

  test("a ticket that is not good goes no further than access", async () => {
    const { calls } = platform.backend;
    for (const ticket of [NONE, forged(), ticketOf(ANN, { ageMs: 60_001 })]) {
      expect(await post(door, "Text/Send", "{}", ticket)).toMatchObject({ status: 401 });
    }
    expect(platform.backend.calls).toBe(calls);
  });

  test("a push reaches only the connection of the user it is for", async () => {
    const socket = await RawSocket.open(url);
    await socket.attach(ticketOf({ userId: "u-push", device: "d" }), { wantPush: true });
    const registered = await socket.take((f) => f.kind?.case === "push");
    expect(registered.kind?.value).toMatchObject({ otherParts: true });
    const targets = Array.from({ length: 200 }, (_, i) => {
      return { connection: i + 1, userId: "u-other", version: 5, follows: 4 };
    });
    const reply = await platform.access.call(Push.push, makePushRequest({ targets }));
    expect(reply.gone).toHaveLength(200);
    expect(await socket.ping()).toBe("pong");
    expect(socket.frames).toEqual([]);
    socket.close();
  });

  test("a campus that is cut off answers nobody, and goes on where it was when it joins", async () => {
    const before = platform.backend.calls;
    const socket = await RawSocket.open(url);
    await socket.attach(ticketOf(ANN));
    const underWay = Promise.withResolvers<void>();
    platform.backend.beforeSend = () => underWay.promise;
    socket.webSocket.send(toBytes(encodeClientFrame, { takesParts: false, id: 499, kind }));
    await until(() => platform.backend.calls > before);
    border.cut();
    underWay.resolve();
    platform.backend.beforeSend = async () => {};
    const { calls } = platform.backend;
    socket.webSocket.send(toBytes(encodeClientFrame, { takesParts: false, id: 500, kind }));
    const newSocket = RawSocket.open(url);
    const short = post(door, "Sync/Sync", "{}", ticketOf(ANN));
    const answered: string[] = [];
    newSocket.then(() => answered.push("new"));
    short.then(() => answered.push("http"));
    await expect(socket.ping(300)).rejects.toThrow("no such frame");
    expect(answered).toEqual([]);
    expect(socket.frames).toEqual([]);
    expect(platform.backend.calls).toBe(calls);
    border.join();
    await socket.take((f) => f.id === 499);
    await socket.take((f) => f.id === 500);
    expect(platform.backend.calls).toBe(calls + 1);
    await socket.take((f) => f.kind?.case === "pong");
    expect((await short).status).toBe(200);
    (await newSocket).close();
    expect(await socket.ping()).toBe("pong");
    socket.close();
  });

  test("after a long cut a connection ends, and what was sent into it is not carried out", async () => {
    const socket = await RawSocket.open(url);
    await socket.attach(ticketOf(ANN));
    const { calls } = platform.backend;
    border.cut();
    socket.webSocket.send(toBytes(encodeClientFrame, { takesParts: false, id: 600, kind }));
    await new Promise((resolve) => setTimeout(resolve, 2_200));
    const ended = new Promise((resolve) => socket.webSocket.once("close", resolve));
    border.join();
    await ended;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(platform.backend.calls).toBe(calls);
  });

  test("at a stop clients are asked to leave, and open requests are answered first", async () => {
    const other = await startSmallPlatform();
    const socket = await RawSocket.open(other.endpoints[0]!.url);
    const issuedAtMs = Date.now();
    await socket.attach(
      other.signer.sign({ ...ANN, issuedAtMs, expiresAtMs: issuedAtMs + 60_000 }),
    );
    other.backend.beforeSend = () => new Promise((resolve) => setTimeout(resolve, 200));
    socket.webSocket.send(toBytes(encodeClientFrame, { takesParts: false, id: 77, kind }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const stopped = other.stop();
    await socket.take((f) => f.kind?.case === "leave");
    expect((await socket.take((f) => f.id === 77)).kind?.case).toBe("failure"); // an empty text
    expect(await socket.closed).toBe(1001);
    await stopped;
  });
});
