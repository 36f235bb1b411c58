/** API keys over HTTP, against a whole platform: users, tickets, acting for users, history, the log. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { TricampusClient } from "../../sdk/client.ts";
import {
  API_SCOPES,
  type ApiScope,
  hashOfApiKey,
  newApiKey,
  writeApiKeys,
} from "../logic/account/api-keys-client.ts";
import { startWholePlatform, type WholePlatform } from "../platform/testing/whole-platform.ts";

let platform: WholePlatform;
const dir = mkdtempSync(join(tmpdir(), "tricampus-api-keys-"));
const apiKeysFile = join(dir, "keys.json");
const KEYS = { all: newApiKey(), users: newApiKey(), audit: newApiKey() };
const clients: TricampusClient[] = [];

function keep(names: readonly (keyof typeof KEYS)[]): void {
  writeApiKeys(
    apiKeysFile,
    names.map((name) => ({
      ...{ name, sha256: hashOfApiKey(Buffer.from(KEYS[name], "base64url")), createdAtMs: 1 },
      scopes: name === "all" ? [...API_SCOPES] : [name as ApiScope],
    })),
  );
}

beforeAll(async () => {
  keep(["all", "users", "audit"]);
  platform = await startWholePlatform({ account: { apiKeysFile } });
});
afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await platform.stop();
  rmSync(dir, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown> & { code?: string };
}

async function post(
  path: string,
  body: object,
  { key = KEYS.all, campus = 0 }: { key?: string; campus?: number } = {},
): Promise<Answer> {
  const url = platform.endpoints[campus]!.url.replace(/^ws/, "http");
  const headers = key === "" ? {} : { authorization: `Bearer ${key}` };
  const init = { method: "POST", body: JSON.stringify(body), headers };
  const response = await fetch(`${url}/v1/${path}`, init);
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

const user = (externalId: string) => ({ user: { externalId } });

async function importUsers(...externalIds: string[]): Promise<string[]> {
  const users = externalIds.map((externalId) => ({ externalId, displayName: `Dr ${externalId}` }));
  const { status, body } = await post("Admin/ImportUsers", { users });
  expect(status).toBe(200);
  return body.userIds as string[];
}

/** A device of an imported user, with a ticket that the integrator's server got. */
async function deviceOf(externalId: string): Promise<TricampusClient> {
  const { body } = await post("Admin/IssueTicket", { ...user(externalId), device: "phone" });
  const client = new TricampusClient({ endpoints: platform.endpoints, device: "phone" });
  clients.push(client);
  client.useLogin({
    userId: body.userId as string,
    ticket: Buffer.from(body.ticket as string, "base64"),
    expiresAtMs: Number(body.expiresAtMs),
  });
  await client.connect();
  return client;
}

test("users are imported once, at any campus, and keep their ids", async () => {
  const ids = await importUsers("e-1", "e-2");
  expect(new Set(ids).size).toBe(2);
  const again = await post(
    "Admin/ImportUsers",
    { users: [{ externalId: "e-2" }, { externalId: "e-1" }] },
    { campus: 1 },
  );
  expect(again.body.userIds).toEqual([ids[1], ids[0]]);
  expect((await post("Admin/FindUser", user("e-1"))).body).toEqual({ userId: ids[0] });
  expect((await post("Admin/FindUser", user("nobody"))).status).toBe(404);
});

test("a server's message for a user reaches the other's device; the system is such a user", async () => {
  const [, bob] = await importUsers("system", "m-bob");
  const phone = await deviceOf("m-bob");
  const send = { clientMessageId: "welcome-1", userId: bob, text: "welcome" };
  const sent = await post("as/external:system/Text/Send", send);
  expect(sent.status).toBe(200);
  expect((await post("as/external:system/Text/Send", send, { campus: 2 })).body).toEqual(sent.body);
  const id = sent.body.conversationId as string;
  await vi.waitFor(async () => {
    expect(await phone.store.messages(id)).toMatchObject([{ text: "welcome" }]);
  }, 10_000);
});

test("a group is made and managed for its owner", async () => {
  const [owner, member] = await importUsers("g-owner", "g-member");
  const made = await post(`as/${owner}/Group/Create`, {
    ...{ title: "support", members: [member], clientRequestId: "support-1" },
  });
  const groupId = made.body.groupId as string;
  const members = await post(`as/${member}/Group/ListMembers`, { groupId });
  expect(members.body).toMatchObject({ title: "support" });
  expect((await post(`as/${member}/Group/Dismiss`, { groupId })).status).toBe(403);
});

test("history keeps its times; ordinary tickets cannot set any", async () => {
  const [, bob] = await importUsers("h-ann", "h-bob");
  const sends = [1, 2, 3].map((n) => {
    const at = { acceptedAtMs: String(1_500_000_000_000 + n) };
    return { clientMessageId: `old-${n}`, userId: bob, text: `said ${n}`, ...at };
  });
  const { status, body } = await post("as/external:h-ann/Text/SendMany", { sends });
  expect(status).toBe(200);
  expect(JSON.stringify(body)).not.toContain("failure");
  const phone = await deviceOf("h-bob");
  await phone.sync();
  const [id] = await phone.store.conversations();
  expect(await phone.store.messages(id!)).toMatchObject([
    { text: "said 1", acceptedAtMs: 1_500_000_000_001 },
    { text: "said 2" },
    { text: "said 3", acceptedAtMs: 1_500_000_000_003 },
  ]);
  const issued = await post("Admin/IssueTicket", { ...user("h-ann"), device: "phone" });
  const ticket = Buffer.from(issued.body.ticket as string, "base64").toString("base64url");
  const forged = await post("Text/Send", { ...sends[0]!, clientMessageId: "x" }, { key: ticket });
  expect(forged.status).toBe(403);
});

test("nobody logs in as the device that API keys act as", async () => {
  const request = { name: "mallory", password: "battery-staple", device: "api" };
  expect((await post("Account/Register", request, { key: "" })).status).toBe(400);
});

test.each([
  ["no key", "", 401],
  ["a key nobody made", newApiKey(), 401],
  ["a key without the scope", KEYS.users, 403],
])("%s issues no ticket and acts for nobody", async (_, key, status) => {
  await importUsers("v-1");
  const asked = { ...user("v-1"), device: "phone" };
  expect((await post("Admin/IssueTicket", asked, { key })).status).toBe(status);
  expect((await post("as/external:v-1/Account/Profiles", {}, { key })).status).toBe(status);
  expect((await post("Admin/AuditLog", {}, { key })).status).toBe(status);
});

test("keys act for a user with one ticket, until the user logs out everywhere", async () => {
  const [id] = await importUsers("a-1");
  const ticket = async () =>
    (await post("Admin/IssueTicket", { user: { userId: id }, device: "api" })).body.ticket;
  const first = await ticket();
  expect(await ticket()).toBe(first);
  expect((await post(`as/${id}/Account/LogOutEverywhere`, {})).status).toBe(200);
  await vi.waitFor(async () => expect(await ticket()).not.toBe(first), 10_000);
  expect((await post(`as/${id}/Account/Profiles`, { userIds: [id] })).status).toBe(200);
});

test("a ticket is no API key, and unknown users get none", async () => {
  await importUsers("t-1");
  const issued = await post("Admin/IssueTicket", { ...user("t-1"), device: "phone" });
  const key = Buffer.from(issued.body.ticket as string, "base64").toString("base64url");
  expect((await post("Admin/IssueTicket", { ...user("t-1"), device: "x" }, { key })).status).toBe(
    401,
  );
  const unknown = { user: { userId: "01au1-zzzz" }, device: "phone" };
  expect((await post("Admin/IssueTicket", unknown)).status).toBe(404);
});

test("the log names key, method and user, newest first", async () => {
  const [id] = await importUsers("l-1");
  await post("as/external:l-1/Account/Profiles", { userIds: [id] });
  const { body } = await post("Admin/AuditLog", { limit: 2 }, { key: KEYS.audit, campus: 1 });
  expect(body.entries).toMatchObject([
    { key: "all", method: "Account/Profiles", userId: id },
    { key: "all", method: "Admin/ImportUsers" },
  ]);
});

test("a revoked key counts no more, within seconds", async () => {
  keep(["all", "users"]);
  await vi.waitFor(async () => {
    expect((await post("Admin/AuditLog", {}, { key: KEYS.audit })).status).toBe(401);
  }, 10_000);
  expect((await post("Admin/AuditLog", {})).status).toBe(200);
});
