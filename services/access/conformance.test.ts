import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JsonValue } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makePushRequest, Push } from "../../protos/gen/tricampus/access/v1/push_codec.ts";
import { makeSnapshotPayload } from "../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import { type SmallPlatform, startSmallPlatform } from "../../sdk/testing/small-platform.ts";
import { type CertificateTexts, issueCertificate, newAuthority } from "../platform/certificates.ts";
import { newTicketKeys, TicketSigner } from "../svrkit/ticket/sign.ts";
import { LONG_WAYS, overHttp, overLongWay, type RawDoor, type Seen } from "./testing/raw-client.ts";

let platform: SmallPlatform;
/** The same backend behind a door that speaks TLS. */
let url: string;
let door: RawDoor;
let tlsDoor: RawDoor;
const certificates = mkdtempSync(join(tmpdir(), "tricampus-door-"));

beforeAll(async () => {
  const authority = await newAuthority();
  const [certFile, keyFile] = await writeCertificate(authority);
  platform = await startSmallPlatform({
    campuses: ["a", "b"],
    accessOptions: { connectionsMax: 8, userConnectionsMax: 2, endpoints: ENDPOINTS },
    accessOptionsOf: { b: { tls: { certFile, keyFile } } },
  });
  url = platform.endpoints[0]!.url;
  door = { url };
  tlsDoor = { url: platform.endpoints[1]!.url.replace("http:", "https:"), ca: authority.cert };
});

afterAll(async () => {
  await platform.stop();
  rmSync(certificates, { recursive: true });
});

async function writeCertificate(authority: CertificateTexts): Promise<[string, string]> {
  const facts = { name: "door", services: [], hosts: ["127.0.0.1"], days: 1 };
  const { cert, key } = await issueCertificate(authority, facts);
  const [certFile, keyFile] = [join(certificates, "door.crt"), join(certificates, "door.key")];
  writeFileSync(certFile, cert);
  writeFileSync(keyFile, key);
  return [certFile, keyFile];
}

const ENDPOINTS = [
  { campus: "a", url: "https://a.chat.example" },
  { campus: "b", url: "https://b.chat.example" },
];

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

type Way = (name: string, request: JsonValue, ticket: Uint8Array) => Promise<Seen>;

/** Every way in: the long ones and the short one, plain and with TLS. */
function waysIn(): [string, Way][] {
  const doors: [string, RawDoor][] = [
    ["", door],
    [" with TLS", tlsDoor],
  ];
  return doors.flatMap(([suffix, at]) => [
    ...Object.entries(LONG_WAYS).map(([name, open]): [string, Way] => [
      name + suffix,
      (method, request, ticket) => overLongWay(() => open(at), { name: method, request, ticket }),
    ]),
    [
      `HTTP${suffix}`,
      (method: string, request: JsonValue, ticket: Uint8Array) =>
        overHttp(at, { name: method, request, ticket }),
    ] as [string, Way],
  ]);
}

describe("access: the same over every way in", () => {
  test.each(operations)("%s", async (_, method, request, ticket, expected) => {
    const [body, proof] = [request(), ticket()];
    const first = await overHttp(door, { name: method, request: body, ticket: proof });
    expect("ok" in first ? "ok" : first.code).toBe(expected);
    for (const [name, way] of waysIn()) {
      expect(await way(method, body, proof), name).toEqual(first);
    }
  });

  test("register, the same name again, log in, a wrong password", async () => {
    for (const [index, [way, over]] of waysIn().entries()) {
      const person = { name: `Carol${index}`, password: "correct horse", device: "phone" };
      const seen = async (method: string, request: object) => {
        const result = await over(method, request as JsonValue, NONE);
        return "ok" in result ? (result.ok as { userId: string }).userId : result.code;
      };
      const userId = await seen("Account/Register", person);
      expect(userId, way).toMatch(/^01[ab]u[0-9a-z]+-/);
      const again = { ...person, name: `carol${index}` };
      expect(await seen("Account/Register", again)).toBe(userId);
      expect(await seen("Account/Login", { ...person, device: "desk" })).toBe(userId);
      const wrong = { ...person, password: "wrong horse" };
      expect(await seen("Account/Register", wrong)).toBe("ALREADY_EXISTS");
      expect(await seen("Account/Login", wrong)).toBe("UNAUTHENTICATED");
    }
  });

  test("a log-in brings the first sync along, or says what is wrong with it", async () => {
    const person = { name: "Dora", password: "correct horse", device: "phone" };
    const opened = await overHttp(door, {
      name: "Session/Open",
      request: { register: person, sync: { limit: 10 } },
      ticket: NONE,
    });
    expect(opened).toMatchObject({
      ok: { login: { userId: expect.any(String) }, sync: { snapshot: expect.any(String) } },
    });
    const wrong = { login: { ...person, password: "wrong horse" } };
    for (const [name, way] of waysIn()) {
      expect(await way("Session/Open", wrong, NONE), name).toMatchObject({
        code: "UNAUTHENTICATED",
      });
      expect(await way("Session/Open", {}, NONE), name).toMatchObject({ code: "INVALID_ARGUMENT" });
      expect(await way("Session/Endpoints", {}, NONE), name).toMatchObject({
        ok: { endpoints: ENDPOINTS },
      });
    }
  });

  test.each(Object.keys(LONG_WAYS))("a push arrives by %s", async (way) => {
    const connection = await LONG_WAYS[way]!(tlsDoor);
    const who = { userId: `u-${way.replace(" ", "")}`, device: "d" };
    await connection.attach(ticketOf(who), { wantPush: true });
    const registered = await connection.take((f) => f.kind?.case === "push");
    expect(registered.kind?.value).toMatchObject({ otherParts: true });
    const { locations } = await platform.calleeAs("fanout").call(Router.lookup, {
      ...{ userIds: [who.userId], takesIncomplete: true },
    });
    const target = { connection: locations[0]!.number, userId: who.userId, version: 0, follows: 0 };
    const push = makePushRequest({ targets: [target], otherParts: true });
    await platform.access.call(Push.push, push, { order: [1] });
    const hint = await connection.take((f) => f.kind?.case === "push");
    expect(hint.kind?.value).toMatchObject({ otherParts: true });
    connection.close();
  });
});
