/** Account data over svrkit's own server and client, with the small backend's key-value store. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeUserDevice } from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  AccountData,
  makeAccountRecord,
  makeLogInRequest,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { type SmallPlatform, startSmallPlatform } from "../../../sdk/testing/small-platform.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, monotonicMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { Revocations } from "../../svrkit/ticket/revocations.ts";
import { CONFIRMATIONS_MAX } from "./handlers.ts";
import { RevocationFollower } from "./revoked-client.ts";
import { readUserRows, revocationRow, userKey } from "./rows.ts";
import { UserHandlers } from "./users.ts";

let platform: SmallPlatform;

beforeEach(async () => {
  platform = await startSmallPlatform();
});

afterEach(() => platform.stop());

const as = (caller: string): Callee => platform.calleeAs(caller);
const record = (name: string, userId: string) => {
  const password = Buffer.from(`hash of ${userId}`);
  return makeAccountRecord({ name, userId, password, createdAtMs: 5 });
};

test("account data: the first claim of a name stands, in whatever letters it is written", async () => {
  const first = await as("account").call(AccountData.claimName, { record: record("Ann", "u1") });
  const second = await as("account").call(AccountData.claimName, { record: record("aNN", "u2") });
  expect(first.userId).toBe("u1");
  expect(second).toMatchObject(record("Ann", "u1"));
  const found = await as("account").call(AccountData.getByName, { name: "ANN" });
  expect(found).toMatchObject(record("Ann", "u1"));
});

test("account data: of many concurrent claims all callers get the same one", async () => {
  const claims = Array.from({ length: 20 }, (_, i) =>
    as("account").call(AccountData.claimName, { record: record("bob", `u${i}`) }),
  );
  const winners = new Set((await Promise.all(claims)).map((standing) => standing.userId));
  expect(winners.size).toBe(1);
});

test("account data: text learns who a name is, and not the password", async () => {
  await as("account").call(AccountData.claimName, { record: record("Ann", "u1") });
  const found = await as("text").call(AccountData.getByName, { name: "ann" });
  expect(found.userId).toBe("u1");
  expect(found.password).toHaveLength(0);
  const nobody = as("text").call(AccountData.getByName, { name: "nobody" });
  await expect(nobody).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test.each(["", "sync", "text", "access"])('account data: "%s" may not claim', async (caller) => {
  const claim = as(caller).call(AccountData.claimName, { record: record("Ann", "u1") });
  await expect(claim).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
});

test.each(["", "sync", "access"])('account data: "%s" may not look names up', async (caller) => {
  const lookup = as(caller).call(AccountData.getByName, { name: "ann" });
  await expect(lookup).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
});

test("account data: a log-out that is only noted ends renewals, and is carried out by the next log-in", async () => {
  const logIn = (renewedIssuedAtMs = 0) =>
    as("account").call(
      AccountData.logIn,
      makeLogInRequest({
        ...{ userId: "u1", device: makeUserDevice({ device: "phone" }), devicesMax: 3 },
        ...{ ticketLifetimeMs: 60_000, renewedIssuedAtMs },
      }),
    );
  const { issuedAtMs } = await logIn();
  await logIn(issuedAtMs);
  const facts = { userId: "u1", device: "phone", issuedAtMs, expiresAtMs: Date.now() + 60_000 };
  const ticket = platform.signer.sign(facts);
  const asked = { devices: [], ticketLifetimeMs: 60_000, reason: "a test", onlyNoted: true };
  await as("account").call(AccountData.logOut, asked, { ticket });
  await expect(logIn(issuedAtMs)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  const revocations = new Revocations();
  const follower = new RevocationFollower(platform.kv, revocations);
  follower.start();
  await expect.poll(() => revocations.isKnown).toBe(true);
  expect(revocations.reasonAgainst(facts)).toBeUndefined();
  const again = await logIn();
  await expect.poll(() => revocations.reasonAgainst(facts), { timeout: 6_000 }).toBe("a test");
  follower.stop();
  const standing = { ...facts, issuedAtMs: again.issuedAtMs };
  expect(revocations.reasonAgainst(standing)).toBeUndefined();
});

test("account data: a record that is replaced again, since no answer was heard, stands as it does", async () => {
  const before = record("Ann", "u1");
  await as("account").call(AccountData.claimName, { record: before });
  const facts = { userId: "u1", device: "phone", issuedAtMs: 1, expiresAtMs: Date.now() + 60_000 };
  const ticket = platform.signer.sign(facts);
  const replace = (password: string) => {
    const after = { ...before, password: Buffer.from(password) };
    const asked = { record: after, oldPassword: before.password };
    return as("account").call(AccountData.replace, asked, { ticket });
  };
  expect(await replace("new")).toEqual({});
  expect(await replace("new")).toEqual({});
  await expect(replace("another")).rejects.toMatchObject({ code: "ABORTED" });
});

test("account data: nobody is logged in for what is not the account's record any more", async () => {
  const before = record("Ann", "u1");
  await as("account").call(AccountData.claimName, { record: before });
  const logIn = (identity: typeof before) =>
    as("account").call(
      AccountData.logIn,
      makeLogInRequest({
        ...{ userId: "u1", device: makeUserDevice({ device: "phone" }), devicesMax: 3 },
        ...{ ticketLifetimeMs: 60_000, identity },
      }),
    );
  const { issuedAtMs } = await logIn(before);
  const facts = { userId: "u1", device: "phone", issuedAtMs, expiresAtMs: Date.now() + 60_000 };
  const ticket = platform.signer.sign(facts);
  const after = { ...before, password: Buffer.from("new") };
  const asked = { record: after, oldPassword: before.password };
  await as("account").call(AccountData.replace, asked, { ticket });
  const refused = { code: "UNAUTHENTICATED" };
  await expect(logIn(before)).rejects.toMatchObject(refused);
  await expect(logIn(record("Bob", "u1"))).rejects.toMatchObject(refused);
  expect(await logIn(after)).toHaveProperty("issuedAtMs");
});

test("account data: a log-in that forgets an old log-out leaves a newer one of the same device", async () => {
  const key = userKey("u1");
  const logOut = (untilMs: number, reason: string) => {
    const revocation = { userId: "u1", device: "desk", issuedBeforeMs: 5, untilMs, reason };
    const operations = [revocationRow({ revocation, carried: true })];
    return platform.kv.change({ key, change: { guards: [], operations } });
  };
  await logOut(Date.now() - 1, "old");
  let reads = 0;
  const kv = {
    change: platform.kv.change.bind(platform.kv),
    scanRows: async (...asked: Parameters<KvClient["scanRows"]>) => {
      const page = await platform.kv.scanRows(...asked);
      reads += 1;
      if (reads === 1) await logOut(Date.now() + 60_000, "new");
      return page;
    },
  } as KvClient;
  const device = makeUserDevice({ device: "phone" });
  const asked = { userId: "u1", device, devicesMax: 3, ticketLifetimeMs: 60_000 };
  const nowMs = monotonicMs();
  const call: Call = {
    ...{ arrivedMs: nowMs, deadlineMs: nowMs + 5_000, caller: "account", priority: 0 },
    ...{ operationId: NO_BYTES, ticket: NO_BYTES, trace: NO_BYTES },
  };
  await new UserHandlers(kv, platform.tickets).logIn(makeLogInRequest(asked), call);
  const all = { first: NO_BYTES, end: NO_BYTES, limit: 0, level: Level.STRONG, reverse: false };
  const { rows } = await platform.kv.scanRows({ key, ...all });
  const reasons = readUserRows(rows).revocations.map(({ revocation }) => revocation!.reason);
  expect(reasons).toEqual(["new"]);
});

test("account data: only sync confirms devices, and not too many at once", async () => {
  const confirmation = { userId: "u1", device: "phone", messagesVersion: 7, atMs: 9 };
  await as("sync").call(AccountData.confirmDevices, { confirmations: [confirmation] });
  const denied = as("account").call(AccountData.confirmDevices, { confirmations: [confirmation] });
  await expect(denied).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  const confirmations = Array.from({ length: CONFIRMATIONS_MAX + 1 }, () => confirmation);
  const tooMany = as("sync").call(AccountData.confirmDevices, { confirmations });
  await expect(tooMany).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("account data: what a device said last stands, whichever campus hands it in when", async () => {
  const confirm = (messagesVersion: number, atMs: number, device = "phone") => {
    const confirmations = [{ userId: "u1", device, messagesVersion, atMs }];
    return as("sync").call(AccountData.confirmDevices, { confirmations });
  };
  const standing = async () => {
    const asked = as("retention").call(AccountData.confirmations, { userId: "u1" });
    return (await asked).confirmations.map((c) => `${c.device} ${c.messagesVersion}`);
  };
  await confirm(70, 1_000);
  await confirm(0, 2_000);
  await confirm(80, 1_500);
  expect(await standing()).toEqual(["phone 0"]);
  await confirm(60, 3_000);
  await confirm(5, 500, "desk");
  expect(await standing()).toEqual(["desk 5", "phone 60"]);
  // Another campus's clock is behind: it has nothing, whatever the time.
  await confirm(0, 2_500);
  expect(await standing()).toEqual(["phone 0", "desk 5"].toSorted());
  await Promise.all([1, 2, 3, 4].map((n) => confirm(n, 4_000 + n)));
  expect(await standing()).toEqual(["desk 5", "phone 4"]);
});
