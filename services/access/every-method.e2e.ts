/**
 * Every operation of the client protocol before a whole platform: each way in reaches its service and brings the
 * same answer back. And requests that break a rule: refused by the service, with the code that says so.
 */
import type { JsonValue } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWholePlatform, type WholePlatform } from "../platform/testing/whole-platform.ts";
import { CLIENT_METHODS } from "./methods.ts";
import { LONG_WAYS, overHttp, overLongWay, type RawDoor, type Seen } from "./testing/raw-client.ts";

type Way = (name: string, request: JsonValue, ticket: Uint8Array) => Promise<Seen>;

let platform: WholePlatform;
let door: RawDoor;
let ways: [string, Way][];

beforeAll(async () => {
  platform = await startWholePlatform();
  door = { url: platform.endpoints[0]!.url };
  ways = [
    ["HTTP", (name, request, ticket) => overHttp(door, { name, request, ticket })],
    ...Object.entries(LONG_WAYS).map(([way, open]): [string, Way] => [
      way,
      (name, request, ticket) => overLongWay(() => open(door), { name, request, ticket }),
    ]),
  ];
});
afterAll(() => platform.stop());

let users = 0;
/** Of somebody whom no other request has met, as some of them end log-ins. */
function newTicket(): Uint8Array {
  const issuedAtMs = Date.now();
  const who = { userId: `07au9-${(users++).toString(36)}`, device: "phone" };
  return platform.signer.sign({ ...who, issuedAtMs, expiresAtMs: issuedAtMs + 600_000 });
}

/** What does not depend on who asks. */
const outcome = (seen: Seen) => ("ok" in seen ? "ok" : `${seen.code}: ${seen.message}`);

test.each([...CLIENT_METHODS.keys()])(
  "%s: its service answers, the same by every way",
  async (name) => {
    const { needsTicket, needsApiKey } = CLIENT_METHODS.get(name)!;
    const ask = (way: Way) => {
      const noTicket = needsApiKey || !needsTicket;
      return way(name, {}, noTicket ? new Uint8Array(0) : newTicket());
    };
    const first = outcome(await ask(ways[0]![1]));
    expect(first).not.toMatch(/^(UNIMPLEMENTED|UNAVAILABLE|INTERNAL|DEADLINE_EXCEEDED)/);
    for (const [way, over] of ways.slice(1)) expect(outcome(await ask(over)), way).toBe(first);
  },
);

const long = (characters: number) => "x".repeat(characters);
const ids = (count: number) => Array.from({ length: count }, (_, i) => `07au8-${i}`);
const profile = (fields: object) => ({ groupId: "07gq-1", ...fields });
const draft = (text: string) => ({ conversationId: "07gq-1", draft: text });
/** [method, what is wrong, request, code] */
const BAD: [string, string, object, string][] = [
  ["Contact/Ask", "nobody", {}, "INVALID_ARGUMENT"],
  ["Contact/Ask", "201 characters", { userId: "07au8-1", text: long(201) }, "INVALID_ARGUMENT"],
  ["Contact/Answer", "nobody", { accept: true }, "INVALID_ARGUMENT"],
  ["Contact/Remove", "nobody", {}, "INVALID_ARGUMENT"],
  ["Contact/Set", "who is no contact", { userId: "07au8-1", remark: "r" }, "NOT_FOUND"],
  ["Contact/Set", "21 tags", { userId: "07au8-1", tags: { ids: ids(21) } }, "INVALID_ARGUMENT"],
  ["Contact/SetTag", "none", {}, "INVALID_ARGUMENT"],
  ["Contact/SetTag", "a name of 33", { tag: { tagId: "t", name: long(33) } }, "INVALID_ARGUMENT"],
  ["Contact/SetTag", "an id of 65", { tag: { tagId: long(65), name: "t" } }, "INVALID_ARGUMENT"],
  ["Contact/Block", "nobody", { blocked: true }, "INVALID_ARGUMENT"],
  ["Contact/SetPolicy", "none", {}, "INVALID_ARGUMENT"],
  ["Group/Create", "no title", { clientRequestId: "r" }, "INVALID_ARGUMENT"],
  [
    "Group/Create",
    "129 characters",
    { title: long(129), clientRequestId: "r" },
    "INVALID_ARGUMENT",
  ],
  ["Group/Create", "no request id", { title: "t" }, "INVALID_ARGUMENT"],
  [
    "Group/Create",
    "a request id of 65",
    { title: "t", clientRequestId: long(65) },
    "INVALID_ARGUMENT",
  ],
  [
    "Group/Create",
    "501 members",
    { title: "t", clientRequestId: "r", members: ids(500) },
    "RESOURCE_EXHAUSTED",
  ],
  ["Group/Get", "no group", {}, "INVALID_ARGUMENT"],
  ["Group/Get", "none of that id", { groupId: "07gq-1" }, "NOT_FOUND"],
  ["Group/Join", "none of that id", { groupId: "07gq-1", clientRequestId: "r" }, "NOT_FOUND"],
  ["Group/Invite", "51 users", { ...profile({}), userIds: ids(51) }, "INVALID_ARGUMENT"],
  ["Group/AcceptInvite", "no invitation", { groupId: "07gq-1" }, "INVALID_ARGUMENT"],
  ["Group/Kick", "nobody", { groupId: "07gq-1" }, "INVALID_ARGUMENT"],
  [
    "Group/Mute",
    "31 days",
    profile({ userId: "07au8-1", forMs: 31 * 86_400_000 }),
    "INVALID_ARGUMENT",
  ],
  ["Group/SetProfile", "an empty title", profile({ title: "" }), "INVALID_ARGUMENT"],
  ["Group/SetProfile", "4,001", profile({ announcement: long(4_001) }), "INVALID_ARGUMENT"],
  ["Group/SetProfile", "501", profile({ description: long(501) }), "INVALID_ARGUMENT"],
  ["Group/SetProfile", "a path", profile({ avatarId: "../x" }), "INVALID_ARGUMENT"],
  ["Group/SetNickname", "65 characters", profile({ nickname: long(65) }), "INVALID_ARGUMENT"],
  ["Conversation/Set", "none", {}, "INVALID_ARGUMENT"],
  ["Conversation/Set", "101", { settings: Array(101).fill(draft("d")) }, "INVALID_ARGUMENT"],
  ["Conversation/Set", "4,001 characters", { settings: [draft(long(4_001))] }, "INVALID_ARGUMENT"],
  [
    "Conversation/Set",
    "nothing set",
    { settings: [{ conversationId: "07gq-1" }] },
    "INVALID_ARGUMENT",
  ],
  ["Conversation/ReadBy", "message 0", { groupId: "07gq-1" }, "INVALID_ARGUMENT"],
  ["Conversation/History", "201", { conversationId: "07gq-1", limit: 201 }, "INVALID_ARGUMENT"],
  [
    "Conversation/History",
    "others' talk",
    { conversationId: "c:07au8-1|07au8-2" },
    "PERMISSION_DENIED",
  ],
  ["Account/Find", "no name", {}, "INVALID_ARGUMENT"],
  ["Account/Find", "nobody of that name", { name: "nobody" }, "NOT_FOUND"],
  ["Account/Profiles", "101", { userIds: ids(101) }, "INVALID_ARGUMENT"],
  ["Account/SetProfile", "an empty name", { displayName: "" }, "INVALID_ARGUMENT"],
  ["Account/SetProfile", "65 characters", { displayName: long(65) }, "INVALID_ARGUMENT"],
  ["Account/SetProfile", "201 characters", { about: long(201) }, "INVALID_ARGUMENT"],
  ["Account/SetProfile", "a path", { avatarId: "../x" }, "INVALID_ARGUMENT"],
  ["Account/SetSettings", "none", {}, "INVALID_ARGUMENT"],
  [
    "Account/ChangePassword",
    "7 characters",
    { oldPassword: "12345678", newPassword: "1234567" },
    "INVALID_ARGUMENT",
  ],
];

test.each(BAD)("%s, %s: refused, and said why", async (name, _, request, code) => {
  const seen = await overHttp(door, { name, request: request as JsonValue, ticket: newTicket() });
  expect(seen).toMatchObject({ code, message: expect.stringMatching(/\w+ \w+/), retryable: false });
});
