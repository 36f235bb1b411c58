/** Access with real sockets: both ways in give the same, and nothing a client sends hurts anybody. */
import type { JsonValue } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makePushRequest, Push } from "../../protos/gen/tricampus/access/v1/push_codec.ts";
import { encodeClientFrame } from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import {
  encodeSendRequest,
  makeSendRequest,
} from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { makeSnapshotPayload } from "../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import { type SmallPlatform, startSmallPlatform } from "../../sdk/testing/small-platform.ts";
import { until } from "../../sdk/testing/until.ts";
import { toBytes } from "../svrkit/codec.ts";
import { codes } from "../svrkit/errors.ts";
import { newTicketKeys, TicketSigner } from "../svrkit/ticket/sign.ts";
import { border } from "../svrkit/transport/border.ts";
import { overHttp, overWebSocket, post, RawSocket } from "./testing/raw-client.ts";

let platform: SmallPlatform;
let url: string;

beforeAll(async () => {
  platform = await startSmallPlatform({ accessOptions: { connectionsMax: 8 } });
  url = platform.endpoints[0]!.url;
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
const changed = () => {
  const ticket = Buffer.from(ticketOf(ANN));
  ticket[ticket.length - 20]! ^= 1;
  return ticket;
};
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

const send = (facts: object) => ({
  clientMessageId: "c1",
  userId: "u-bob",
  text: "hi",
  ...facts,
});
const operations: [string, string, () => JsonValue, () => Uint8Array, string][] = [
  ["send", "Text/Send", () => send({}), () => ticketOf(ANN), "ok"],
  [
    "text of 64 KiB",
    "Text/Send",
    () => send({ clientMessageId: "c2", text: "x".repeat(65_536) }),
    () => ticketOf(ANN),
    "ok",
  ],
  [
    "text over 64 KiB",
    "Text/Send",
    () => send({ text: "x".repeat(65_537) }),
    () => ticketOf(ANN),
    "TOO_LARGE",
  ],
  ["empty text", "Text/Send", () => send({ text: "" }), () => ticketOf(ANN), "INVALID_ARGUMENT"],
  [
    "no recipient",
    "Text/Send",
    () => ({ clientMessageId: "c3", text: "hi" }),
    () => ticketOf(ANN),
    "INVALID_ARGUMENT",
  ],
  ["no ticket", "Text/Send", () => send({}), () => NONE, "UNAUTHENTICATED"],
  ["forged ticket", "Text/Send", () => send({}), forged, "UNAUTHENTICATED"],
  ["changed ticket", "Text/Send", () => send({}), changed, "UNAUTHENTICATED"],
  [
    "expired ticket",
    "Text/Send",
    () => send({}),
    () => ticketOf(ANN, { ageMs: 60_001 }),
    "UNAUTHENTICATED",
  ],
  [
    "garbage as ticket",
    "Text/Send",
    () => send({}),
    () => Buffer.from("garbage"),
    "UNAUTHENTICATED",
  ],
  ["sync", "Sync/Sync", () => ({ limit: 1 }), () => ticketOf(BOB), "ok"],
  [
    "forged snapshot",
    "Sync/Sync",
    () => ({ snapshot: base64(Buffer.alloc(30, 1)) }),
    () => ticketOf(BOB),
    "INVALID_ARGUMENT",
  ],
  [
    "foreign snapshot",
    "Sync/Sync",
    () => ({ snapshot: snapshotOf(ANN) }),
    () => ticketOf(BOB),
    "INVALID_ARGUMENT",
  ],
  ["own snapshot", "Sync/Sync", () => ({ snapshot: snapshotOf(BOB) }), () => ticketOf(BOB), "ok"],
  [
    "create",
    "Group/Create",
    () => ({ title: "t", members: ["u-bob"], clientRequestId: "r" }),
    () => ticketOf(ANN),
    "ok",
  ],
  ["members", "Group/ListMembers", () => ({ groupId: "g-u-ann-r" }), () => ticketOf(ANN), "ok"],
  [
    "unknown group",
    "Group/ListMembers",
    () => ({ groupId: "nope" }),
    () => ticketOf(ANN),
    "NOT_FOUND",
  ],
  ["unknown method", "Text/Nope", () => ({}), () => ticketOf(ANN), "UNIMPLEMENTED"],
  ["a service's own method", "Push/Push", () => ({}), () => ticketOf(ANN), "UNIMPLEMENTED"],
  [
    "bad name",
    "Account/Register",
    () => ({ name: "a b", password: "12345678", device: "d" }),
    () => NONE,
    "INVALID_ARGUMENT",
  ],
  [
    "short password",
    "Account/Register",
    () => ({ name: "ab", password: "1234567", device: "d" }),
    () => NONE,
    "INVALID_ARGUMENT",
  ],
  [
    "no device",
    "Account/Register",
    () => ({ name: "ab", password: "12345678" }),
    () => NONE,
    "INVALID_ARGUMENT",
  ],
  [
    "log-in of nobody",
    "Account/Login",
    () => ({ name: "no", password: "12345678", device: "d" }),
    () => NONE,
    "UNAUTHENTICATED",
  ],
];

function snapshotOf(who: { userId: string; device: string }): string {
  const versions = makeSnapshotPayload({ messagesVersion: 1 });
  return base64(platform.snapshots.seal(who, versions));
}

describe("access: the same over WebSocket and HTTP", () => {
  test.each(operations)("%s", async (_, method, request, ticket, expected) => {
    const [body, proof] = [request(), ticket()];
    const short = await overHttp(url, method, body, proof);
    const long = await overWebSocket(url, method, body, proof);
    expect(long).toEqual(short);
    expect("ok" in short ? "ok" : short.code).toBe(expected);
  });

  test("register, the same name again, log in, a wrong password", async () => {
    const person = { name: "Carol", password: "correct horse", device: "phone" };
    const seen = async (method: string, request: object, over: typeof overHttp) => {
      const result = await over(url, method, request as JsonValue, NONE);
      return "ok" in result ? (result.ok as { userId: string }).userId : result.code;
    };
    const userId = await seen("Account/Register", person, overHttp);
    expect(userId).toMatch(/^01au[0-9a-z]+-/);
    expect(await seen("Account/Register", { ...person, name: "carol" }, overWebSocket)).toBe(
      userId,
    );
    expect(await seen("Account/Login", { ...person, device: "desk" }, overWebSocket)).toBe(userId);
    expect(await seen("Account/Register", { ...person, password: "wrong horse" }, overHttp)).toBe(
      "ALREADY_EXISTS",
    );
    expect(await seen("Account/Login", { ...person, password: "wrong horse" }, overHttp)).toBe(
      "UNAUTHENTICATED",
    );
  });
});

const frame = (id: number, method: string, body: Uint8Array) =>
  toBytes(encodeClientFrame, { id, kind: { case: "request", value: { method, body } } });
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
    () => toBytes(encodeClientFrame, { id: 7, kind: attachKind(forged()) }),
    7,
    "UNAUTHENTICATED",
  ],
];
const attachKind = (ticket: Uint8Array) =>
  ({ case: "attach", value: { ticket, snapshot: NONE, wantPush: false } }) as const;
const attachOf = (who: typeof ANN) =>
  toBytes(encodeClientFrame, { id: 7, kind: attachKind(ticketOf(who)) });

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

  test("over WebSocket: who sends nothing but garbage is let go", async () => {
    const socket = await RawSocket.open(url);
    for (let i = 0; i < 100; i++) socket.webSocket.send(Buffer.alloc(10, 0xff));
    expect(await socket.closed).toBe(1002);
  });

  test.each(bodies)("over HTTP: %s", async (_, body, status, code) => {
    const answer = await post(url, "Text/Send", body, ticketOf(ANN));
    expect(answer).toMatchObject({ status, json: { code, retryable: false } });
    expect(codes[code as keyof typeof codes].http).toBe(status);
  });

  test("over HTTP: another path, another verb, another kind of authorization", async () => {
    const elsewhere = await fetch(`${url}/nope`);
    expect([elsewhere.status, await elsewhere.json()]).toMatchObject([404, { code: "NOT_FOUND" }]);
    const get = await fetch(`${url}/v1/Text/Send`);
    expect([get.status, await get.json()]).toMatchObject([404, { code: "NOT_FOUND" }]);
    const basic = await post(url, "Text/Send", "{}", NONE, { authorization: "Basic eDp5" });
    expect(basic).toMatchObject({ status: 401, json: { code: "UNAUTHENTICATED" } });
  });
});

describe("access: limits and life", () => {
  const kind = { case: "request", value: { method: "Text/Send", body: NONE } } as const;

  test("257 open requests on one connection: the last is refused, the others are answered", async () => {
    const socket = await RawSocket.open(url);
    await socket.attach(ticketOf(ANN));
    const held = Promise.withResolvers<void>();
    platform.backend.beforeSend = () => held.promise;
    for (let id = 1_001; id <= 1_257; id++)
      socket.webSocket.send(toBytes(encodeClientFrame, { id, kind }));
    const refused = await socket.take((f) => f.kind?.case === "failure");
    expect(refused).toMatchObject({ id: 1_257, kind: { value: { code: "RESOURCE_EXHAUSTED" } } });
    held.resolve();
    platform.backend.beforeSend = async () => {};
    await until(() => socket.frames.length === 256);
    socket.close();
  });

  test("a connection too many is refused with 503, and one that ends makes room", async () => {
    const all = await Promise.all(Array.from({ length: 8 }, () => RawSocket.open(url)));
    await expect(RawSocket.open(url)).rejects.toThrow("503");
    all[0]!.close();
    await all[0]!.closed;
    const again = await RawSocket.open(url);
    expect(await again.ping()).toBe("pong");
    for (const socket of [...all, again]) socket.close();
    await Promise.all(all.map((socket) => socket.closed));
  });

  test("a ticket that is not good goes no further than access", async () => {
    const { calls } = platform.backend;
    for (const ticket of [NONE, forged(), ticketOf(ANN, { ageMs: 60_001 })]) {
      expect(await post(url, "Text/Send", "{}", ticket)).toMatchObject({ status: 401 });
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
    socket.webSocket.send(toBytes(encodeClientFrame, { id: 499, kind }));
    await until(() => platform.backend.calls > before);
    border.cut();
    underWay.resolve();
    platform.backend.beforeSend = async () => {};
    const { calls } = platform.backend;
    socket.webSocket.send(toBytes(encodeClientFrame, { id: 500, kind }));
    const newSocket = RawSocket.open(url);
    const short = post(url, "Sync/Sync", "{}", ticketOf(ANN));
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
    socket.webSocket.send(toBytes(encodeClientFrame, { id: 600, kind }));
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
    socket.webSocket.send(toBytes(encodeClientFrame, { id: 77, kind }));
    await new Promise((resolve) => setTimeout(resolve, 50));
    const stopped = other.stop();
    await socket.take((f) => f.kind?.case === "leave");
    expect((await socket.take((f) => f.id === 77)).kind?.case).toBe("failure"); // an empty text
    expect(await socket.closed).toBe(1001);
    await stopped;
  });
});
