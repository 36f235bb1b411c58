/** Accounts: devices, log-outs, passwords, log-ins from elsewhere, profiles. */
import { writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Platform } from "../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import { TricampusClient } from "./client.ts";
import { findInStore } from "./testing/find-in-store.ts";
import { People, type Person } from "./testing/people.ts";

type Key = Awaited<ReturnType<typeof generateKeyPair>>["privateKey"];

const ISSUER = "https://id.example";
const AUDIENCE = "tricampus";

let platform: WholePlatform;
let people: People;
let key: Key;
const clients: TricampusClient[] = [];

beforeAll(async () => {
  const { privateKey, publicKey } = await generateKeyPair("ES256", { extractable: true });
  key = privateKey;
  const keysFile = join(await mkdtemp(join(tmpdir(), "tricampus-oidc-")), "keys.json");
  const jwk = { ...(await exportJWK(publicKey)), kid: "k", alg: "ES256" };
  writeFileSync(keysFile, JSON.stringify({ keys: [jwk] }));
  platform = await startWholePlatform({
    account: {
      devicesMax: { phone: 1 },
      ...{ eraseEveryMs: 100, erasePauseMs: 500 },
      oidc: [{ issuer: ISSUER, audience: AUDIENCE, keysFile }],
    },
  });
  people = new People(platform.endpoints);
});
beforeEach(() => people.nextScene());
afterAll(async () => {
  await people.close();
  await Promise.all(clients.map((client) => client.close()));
  await platform.stop();
});

function stranger(device = "phone", options = {}): TricampusClient {
  const client = new TricampusClient({ endpoints: platform.endpoints, device, ...options });
  clients.push(client);
  return client;
}

const devicesOf = ({ client }: Person) => [...client.account.known.devices.keys()].sort();

test("a second phone displaces the first; it is told so, connected or not", async () => {
  const reasons: string[] = [];
  const onLoggedOut = (reason: string) => reasons.push(reason);
  const phone = Platform.PHONE;
  const first = await people.online("ann", { device: "p1", platform: phone, onLoggedOut });
  const desk = await people.online("ann", {
    device: "d1",
    platform: Platform.DESKTOP,
    campus: "b",
  });
  await expect.poll(() => devicesOf(desk)).toEqual(["d1", "p1"]);
  const second = await people.online("ann", { device: "p2", platform: phone, campus: "c" });
  await expect.poll(() => reasons.length, { timeout: 5_000 }).toBeGreaterThan(0);
  expect(reasons[0]).toContain("another device of this kind was logged in");
  await second.client.sync();
  expect(devicesOf(second)).toEqual(["d1", "p2"]);
  const refused = first.client.findUser(first.name);
  await expect(refused).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  await first.client.login(first.name, "a password"); // comes back, and displaces in turn
  await first.client.connect();
  await first.client.sync();
  expect(devicesOf(first)).toEqual(["d1", "p1"]);
});

test("another device can be logged out, and all of them", async () => {
  const reasons: string[] = [];
  const onLoggedOut = (reason: string) => reasons.push(reason);
  const desk = await people.online("ann", { device: "desk" });
  const web = await people.online("ann", { device: "web", campus: "b", onLoggedOut });
  await desk.client.account.logOut("web");
  await expect.poll(() => reasons).toEqual([expect.stringContaining("logged out by desk")]);
  await web.client.login(web.name, "a password");
  await web.client.connect();
  await desk.client.account.logOutEverywhere();
  // Everywhere within five seconds.
  const within = { timeout: 5_000 };
  await expect.poll(() => reasons.length, within).toBe(2);
  const late = desk.client.connect();
  await late.catch(() => {});
  const sync = () => desk.client.sync().catch((e) => e.code);
  await expect.poll(sync, within).toBe("UNAUTHENTICATED");
});

test("a new password logs all other devices out, and the old one is worth nothing", async () => {
  const desk = await people.online("ann", { device: "desk" });
  const web = await people.online("ann", { device: "web", campus: "b" });
  const wrong = desk.client.changePassword("not my password", "another password");
  await expect(wrong).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await desk.client.changePassword("a password", "another password");
  await desk.client.sync();
  await expect.poll(() => web.client.sync().catch((e) => e.code)).toBe("UNAUTHENTICATED");
  const old = web.client.login(web.name, "a password");
  await expect(old).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  await web.client.login(web.name, "another password");
  await web.client.connect();
});

const idToken = () => sign((jwt) => jwt);

test("users from elsewhere log in with their tokens, and are the same user again", async () => {
  const first = stranger("phone");
  const { userId } = await first.loginWithToken(await idToken());
  await first.connect();
  expect(await first.account.profiles([userId])).toMatchObject([
    { displayName: "Ann Other", name: "" },
  ]);
  expect(await stranger("desk").loginWithToken(await idToken())).toMatchObject({ userId });
  const noPassword = first.changePassword("anything", "another password");
  await expect(noPassword).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
});

test.each([
  ["nonsense", async () => "nonsense"],
  ["too much of it", async () => "x".repeat(9_000)],
  ["another issuer", () => sign((jwt) => jwt.setIssuer("https://other.example"))],
  ["for somebody else", () => sign((jwt) => jwt.setAudience("other"))],
  ["an old one", () => sign((jwt) => jwt.setExpirationTime(Math.floor(Date.now() / 1_000) - 60))],
  ["without a subject", () => sign((jwt) => jwt.setSubject(""))],
  [
    "with another key",
    async () => {
      const { privateKey } = await generateKeyPair("ES256");
      return sign((jwt) => jwt, privateKey);
    },
  ],
  ["not signed", async () => `${(await idToken()).split(".").slice(0, 2).join(".")}.`],
])("a token that is not good is refused: %s", async (_what, token) => {
  const refused = await stranger()
    .loginWithToken(await token())
    .catch((error) => error.code);
  expect(["UNAUTHENTICATED", "INVALID_ARGUMENT"]).toContain(refused);
});

function sign(change: (jwt: SignJWT) => SignJWT, by: Key = key): Promise<string> {
  const jwt = new SignJWT({ name: "Ann Other" })
    .setProtectedHeader({ alg: "ES256", kid: "k" })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setSubject("ann@example")
    .setIssuedAt()
    .setExpirationTime("5m");
  return change(jwt).sign(by);
}

test("what users show of themselves, and what they hide", async () => {
  const [ann, bob] = await Promise.all([
    people.online("ann"),
    people.online("bob", { campus: "b" }),
  ]);
  const desk = await people.online("ann", { device: "desk", campus: "c" });
  await ann.client.account.setProfile({ displayName: "Ann A.", about: "sails" });
  await ann.client.account.setProfile({ about: "rows" });
  expect(await bob.client.account.profiles([ann.id, bob.id])).toMatchObject([
    { userId: ann.id, name: ann.name, displayName: "Ann A.", about: "rows" },
    { userId: bob.id, displayName: bob.name },
  ]);
  await expect.poll(() => desk.client.account.known.profile?.about).toBe("rows");
  expect(await bob.client.findUser(ann.name)).toBe(ann.id);
  await ann.client.account.setSettings({ hidesName: true });
  await expect(bob.client.findUser(ann.name)).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect.poll(() => desk.client.account.known.settings).toMatchObject({ hidesName: true });
  const bad = ann.client.account.setProfile({ avatarId: "../x" });
  await expect(bad).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("an account that is deleted leaves nothing in the store but its id", async () => {
  const ann = await people.online("ann");
  const bob = await people.online("bob", { campus: "b" });
  const login = { userId: ann.id, ticket: ticketOf(ann.id), expiresAtMs: Date.now() + 60_000 };
  await ann.client.account.setProfile({ displayName: "Ann Secret", about: "secretly" });
  await ann.client.contacts.ask(bob.id, "a secret request");
  await bob.client.contacts.accept(ann.id);
  await bob.client.contacts.setRemark(ann.id, "secret remark");
  const { conversationId } = await ann.client.send({ userId: bob.id }, "a secret text");
  await bob.client.send({ userId: ann.id }, "a secret answer");
  await ann.client.conversations.setDraft(conversationId, "a secret draft");
  const group = await bob.client.groups.create("Others", [ann.id]);
  await ann.client.groups.setNickname(group, "secret nick");
  const source = Buffer.from("a secret file");
  const upload = { kind: "file", mime: "text/plain", name: "secret.txt", source } as const;
  await ann.client.media.send({ userId: bob.id }, upload);
  const { mediaId } = await ann.client.media.upload(upload);
  const url = await ann.client.media.url({ mediaId });
  await ann.client.moments.post({ text: "a secret moment" });
  const moment = await bob.client.moments.post({ text: "Bob's" });
  await ann.client.moments.comment(moment, "a secret comment");
  await ann.client.sync();
  const wrong = ann.client.account.delete("not my password");
  await expect(wrong).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await ann.client.account.delete("a password");
  const again = ann.client.login(ann.name, "a password");
  await expect(again).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  await expect.poll(() => bob.client.findUser(ann.name).catch((e) => e.code)).toBe("NOT_FOUND");
  // What bob was sent, and what the group was told, is bob's and the group's.
  const theirs = new Set([bob.id, group]);
  const traces = async () =>
    (await findInStore(platform, ["ecret", ann.name])).filter((key) => !theirs.has(key));
  await expect.poll(traces, { timeout: 10_000, interval: 300 }).toEqual([]);
  const send = bob.client.send({ userId: ann.id }, "are you there?");
  await expect(send).rejects.toMatchObject({ code: "NOT_FOUND" });
  await bob.client.sync();
  expect([...bob.client.contacts.known.contacts.keys()]).toEqual([]);
  expect((await bob.client.groups.listMembers(group)).members).toHaveLength(1);
  expect((await bob.client.moments.get(moment)).comments).toEqual([]);
  expect(await bob.client.moments.of(ann.id)).toEqual({ moments: [], cursor: "" });
  await expect.poll(async () => (await fetch(url)).status, { timeout: 40_000 }).toBe(404);
  // A log-out is known everywhere within two seconds.
  const ghost = () => {
    const client = stranger();
    client.useLogin(login);
    return client.connect().then(
      () => "let in",
      (error) => error.code,
    );
  };
  await expect.poll(ghost).toBe("UNAUTHENTICATED");
  // The name can be taken by somebody else.
  expect((await stranger().register(ann.name, "a password")).userId).not.toBe(ann.id);
});

const ticketOf = (userId: string) => {
  const issuedAtMs = Date.now();
  return platform.signer.sign({
    userId,
    device: "d",
    issuedAtMs,
    expiresAtMs: issuedAtMs + 60_000,
  });
};
