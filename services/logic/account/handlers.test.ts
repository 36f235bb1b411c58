/** Registration's races and a log-in's silence about what was wrong. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  Account,
  type LoginRequest,
  makeLoginRequest,
} from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  AccountData,
  type LogOutDevicesRequest,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { type SmallPlatform, startSmallPlatform } from "../../../sdk/testing/small-platform.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { IdMaker } from "../../svrkit/ids.ts";
import type { Method } from "../../svrkit/method.ts";
import { AccountHandlers } from "./handlers.ts";
import { IdTokens } from "./id-tokens.ts";
import { PasswordHasher } from "./password.ts";

let platform: SmallPlatform;

beforeEach(async () => {
  platform = await startSmallPlatform();
});

afterEach(() => platform.stop());

const person = { name: "Ann", password: "correct horse", device: "phone", platform: 0 };
const as = <I, O>(method: Method<I, O>, request: I, ticket: Uint8Array) =>
  platform.calleeAs("access").call(method, request, { ticket });
const register = (facts: Partial<typeof person> = {}) =>
  platform.calleeAs("access").call(Account.register, { ...person, ...facts });
const login = (facts: Partial<LoginRequest> = {}) =>
  platform.calleeAs("access").call(Account.login, makeLoginRequest({ ...person, ...facts }));

test("account: one name registered many times at once is one user", async () => {
  const replies = await Promise.all(Array.from({ length: 12 }, () => register()));
  expect(new Set(replies.map((reply) => reply.userId)).size).toBe(1);
});

test("account: two people who want one name at once: one has it, the other is told", async () => {
  const outcomes = await Promise.allSettled([register(), register({ password: "another horse" })]);
  expect(outcomes.filter((o) => o.status === "fulfilled")).toHaveLength(1);
  const refused = outcomes.find((o) => o.status === "rejected");
  expect(refused?.reason).toMatchObject({ code: "ALREADY_EXISTS" });
});

test("account: a wrong name and a wrong password look the same", async () => {
  await register();
  const failures = [login({ password: "wrong horse" }), login({ name: "nobody" })].map((attempt) =>
    attempt.then(
      () => "let in",
      (error: RpcError) => `${error.code}: ${error.message}`,
    ),
  );
  expect(await Promise.all(failures)).toEqual(
    new Array(2).fill("UNAUTHENTICATED: name or password is wrong"),
  );
});

/** Guesses, one after the other, until no more are taken; returns how many were. */
async function guess(facts: Partial<LoginRequest> = {}): Promise<number> {
  for (let taken = 0; ; taken++) {
    const attempt = login({ ...facts, password: `wrong guess ${taken}` });
    const code = await attempt.catch((error: RpcError) => error.code);
    if (code === "RESOURCE_EXHAUSTED") return taken;
    expect(code).toBe("UNAUTHENTICATED");
  }
}
const heldUp = { code: "RESOURCE_EXHAUSTED", message: "too many wrong passwords: wait a minute" };

test("account: who guesses passwords of a name is slowed down, also its owner elsewhere; others are not", async () => {
  await register();
  expect(await guess()).toBe(20);
  await expect(login({ name: "ANN" })).rejects.toMatchObject(heldUp);
  expect(await register({ name: "Bob" })).toHaveProperty("userId");
});

test("account: who guesses does not hold up the owner on devices that logged in before", async () => {
  const { userId, ticket: phone } = await register();
  const desk = (await login({ device: "desk" })).ticket;
  await guess();
  const atMs = Date.now();
  const times = { issuedAtMs: atMs, expiresAtMs: atMs - 1 };
  const expired = platform.signer.sign({ userId, device: "old", ...times });
  await as(Account.logOut, { device: "desk" }, desk);
  for (const knownTicket of [phone, desk, expired]) {
    expect((await login({ knownTicket })).userId).toBe(userId);
  }
  const others = (await register({ name: "Bob" })).ticket;
  const forged = Buffer.from(phone).fill(1, 1, 65);
  for (const knownTicket of [others, forged, Buffer.from("none")]) {
    await expect(login({ knownTicket })).rejects.toMatchObject(heldUp);
  }
});

test("account: a device that logged in before guesses no faster, and holds up no other", async () => {
  const { ticket: phone } = await register();
  const { ticket: desk } = await login({ device: "desk" });
  expect(await guess({ knownTicket: phone })).toBe(20);
  await expect(login({ knownTicket: phone })).rejects.toMatchObject(heldUp);
  await login({ knownTicket: desk });
  await login();
});

test("account: after a new password who knew the old one is a stranger; the owner changes it unhindered", async () => {
  const { ticket: known } = await register();
  await guess();
  const passwords = { oldPassword: person.password, newPassword: "a new horse" };
  const { ticket } = await as(Account.changePassword, passwords, known);
  const password = passwords.newPassword;
  await expect(login({ password, knownTicket: known })).rejects.toMatchObject(heldUp);
  await login({ password, knownTicket: ticket });
});

test("account: a ticket of the old password is a stranger's, also one of a clock that was ahead", async () => {
  const now = Date.now.bind(Date);
  const clock = vi.spyOn(Date, "now").mockImplementation(() => now() + 3_600_000);
  const { ticket: known } = await register();
  clock.mockRestore();
  const passwords = { oldPassword: person.password, newPassword: "a new horse" };
  const { ticket } = await as(Account.changePassword, passwords, known);
  await guess();
  const password = passwords.newPassword;
  await expect(login({ password, knownTicket: known })).rejects.toMatchObject(heldUp);
  await login({ password, knownTicket: ticket });
});

test("account: so is one that the old password got while it was replaced", async () => {
  const { ticket } = await register();
  const accounts = platform.calleeAs("account");
  let thief: Uint8Array | undefined;
  const handlers = handlersOn(async (method, request, options) => {
    if (method.name === AccountData.replace.name)
      thief ??= (await login({ device: "thief" })).ticket;
    return accounts.call(method, request, options);
  });
  const passwords = { oldPassword: person.password, newPassword: "a new horse" };
  const { ticket: own } = await handlers.changePassword(passwords, callWith(ticket));
  await guess();
  const password = passwords.newPassword;
  await expect(login({ password, knownTicket: thief! })).rejects.toMatchObject(heldUp);
  await login({ password, knownTicket: own });
});

test("account: many guesses at once are as many as one after the other; right ones cost nothing", async () => {
  await register();
  const guesses = Array.from({ length: 40 }, (_, i) =>
    login({ password: `wrong guess ${i}` }).catch((error: RpcError) => error.code),
  );
  const wrong = (await Promise.all(guesses)).filter((code) => code === "UNAUTHENTICATED");
  expect(wrong).toHaveLength(20);
  await register({ name: "Bob" });
  for (let i = 0; i < 25; i++) await login({ name: "Bob" });
});

/** The processes of this platform never hear of log-outs, as real ones do not for two seconds. */
const renew = (ticket: Uint8Array) => as(Account.renew, {}, ticket);

test.each([
  ["log out everywhere", (ticket: Uint8Array) => as(Account.logOutEverywhere, {}, ticket)],
  [
    "a log-out by another device",
    (ticket: Uint8Array) => as(Account.logOut, { device: "phone" }, ticket),
  ],
  [
    "a new password",
    (ticket: Uint8Array) =>
      as(
        Account.changePassword,
        { oldPassword: person.password, newPassword: "a new horse" },
        ticket,
      ),
  ],
])(
  "account: %s ends a ticket where nobody has heard of it yet: it is not renewed",
  async (_, end) => {
    const stolen = (await register()).ticket;
    const desk = (await login({ device: "desk" })).ticket;
    const renewed = (await renew(stolen)).ticket;
    await end(desk);
    const refused = { code: "UNAUTHENTICATED" };
    await expect(renew(stolen)).rejects.toMatchObject(refused);
    await expect(renew(renewed)).rejects.toMatchObject(refused);
  },
);

/** Handlers on the platform's account data, as `call` lets them reach it. */
function handlersOn(call: Callee["call"]): AccountHandlers {
  return new AccountHandlers({
    accounts: { call } as Callee,
    passwords: new PasswordHasher({ memoryKib: 64, passes: 1 }),
    idTokens: new IdTokens([]),
    ...{ signer: platform.signer, tickets: platform.tickets, ticketLifetimeMs: 60_000 },
    userIds: new IdMaker({ dc: 1, campus: "a", letter: "u", incarnation: 9 }),
    devicesMax: { phone: 3, tablet: 3, desktop: 3, web: 3, other: 3 },
    now: Date.now,
  });
}

test("account: a changed password is told to everybody when nothing more needs the caller's own ticket", async () => {
  const { ticket } = await register();
  const accounts = platform.calleeAs("account");
  let isTold = false;
  const handlers = handlersOn(async (method, request, options) => {
    // As account data does when it has heard of it.
    if (isTold && method.name !== AccountData.logIn.name)
      throw new RpcError("UNAUTHENTICATED", "the password was changed");
    const reply = await accounts.call(method, request, options);
    const { onlyNoted } = request as Partial<LogOutDevicesRequest>;
    isTold ||= method.name === AccountData.logOut.name && onlyNoted === false;
    return reply;
  });
  const passwords = { oldPassword: person.password, newPassword: "a new horse" };
  const { ticket: own } = await handlers.changePassword(passwords, callWith(ticket));
  expect(isTold).toBe(true);
  expect(await renew(own)).toHaveProperty("ticket");
  await expect(renew(ticket)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

/** Handlers of a process that dies right after it has replaced an account's record. */
function dyingHandlers(): AccountHandlers {
  const accounts = platform.calleeAs("account");
  let isDead = false;
  return handlersOn(async (method, request, options) => {
    if (isDead) throw new Error("killed");
    const reply = await accounts.call(method, request, options);
    isDead = method.name === AccountData.replace.name;
    return reply;
  });
}

function callWith(ticket: Uint8Array) {
  const times = { arrivedMs: monotonicMs(), deadlineMs: monotonicMs() + 5_000 };
  const about = { operationId: NO_BYTES, ticket, caller: "access", trace: NO_BYTES, priority: 0 };
  return { ...times, ...about };
}

test("account: who dies right after replacing a password leaves no renewable ticket, and may try again", async () => {
  const stolen = (await register()).ticket;
  const { ticket } = await login({ device: "desk" });
  const asked = { oldPassword: person.password, newPassword: "a new horse" };
  const killed = dyingHandlers().changePassword(asked, callWith(ticket));
  await expect(killed).rejects.toThrow("killed");
  const again = await as(Account.changePassword, asked, ticket);
  expect(await renew(again.ticket)).toHaveProperty("ticket");
  const wrong = { oldPassword: "some old horse", newPassword: "some new horse" };
  const refused = { code: "PERMISSION_DENIED", message: "the password is wrong" };
  await expect(as(Account.changePassword, wrong, again.ticket)).rejects.toMatchObject(refused);
  expect(await login({ password: "a new horse" })).toHaveProperty("userId");
  await expect(renew(stolen)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

test("account: a log-in with a password that is replaced meanwhile comes to nothing", async () => {
  const { ticket } = await register();
  const change = { oldPassword: person.password, newPassword: "a new horse" };
  const accounts = platform.calleeAs("account");
  const handlers = handlersOn(async (method, request, options) => {
    // The old password was right a moment ago.
    if (method.name === AccountData.logIn.name) await as(Account.changePassword, change, ticket);
    return accounts.call(method, request, options);
  });
  const thief = makeLoginRequest({ ...person, device: "thief" });
  const late = handlers.login(thief, callWith(NO_BYTES));
  await expect(late).rejects.toMatchObject({
    ...{ code: "UNAUTHENTICATED", message: "name or password is wrong" },
  });
  expect(await login({ password: "a new horse", device: "desk" })).toHaveProperty("userId");
});

test("account: who did not hear that its account was deleted deletes it again, and it is", async () => {
  const { ticket } = await register();
  const killed = dyingHandlers().delete({ password: person.password }, callWith(ticket));
  await expect(killed).rejects.toThrow("killed");
  expect(await as(Account.delete, { password: person.password }, ticket)).toEqual({});
  expect(await as(Account.delete, { password: person.password }, ticket)).toEqual({});
  await expect(renew(ticket)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  await expect(login()).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});

type Act = (handlers: AccountHandlers, call: ReturnType<typeof callWith>) => Promise<unknown>;

test.each<[string, string, Act]>([
  ["a deletion", AccountData.beginErasing.name, (all, call) => all.delete(person, call)],
  [
    "a new password",
    AccountData.logOut.name,
    (all, call) => {
      const asked = { oldPassword: person.password, newPassword: "a new horse" };
      return all.changePassword(asked, call);
    },
  ],
  [
    "a registration",
    AccountData.claimName.name,
    (all, call) => all.register({ ...person, name: "Bob" }, call),
  ],
])("account: %s is not shed any more from its first effect on", async (_, first, act) => {
  const { ticket } = await register();
  const accounts = platform.calleeAs("account");
  const asked: { name: string; priority: number | undefined }[] = [];
  const handlers = handlersOn((method, request, options) => {
    asked.push({ name: method.name, priority: options?.priority });
    return accounts.call(method, request, options);
  });
  await act(handlers, { ...callWith(ticket), priority: 500 });
  const effect = asked.findIndex(({ name }) => name === first);
  const prioritiesOf = (calls: typeof asked) => new Set(calls.map(({ priority }) => priority));
  expect(prioritiesOf(asked.slice(0, effect + 1))).toEqual(new Set([500]));
  expect(prioritiesOf(asked.slice(effect + 1))).toEqual(new Set([0]));
});

test("account: devices that are renewed while all are logged out have no good ticket afterwards", async () => {
  const { ticket } = await register();
  for (let round = 0; round < 10; round++) {
    const held = (await login()).ticket;
    const [after] = await Promise.allSettled([
      renew(held),
      as(Account.logOutEverywhere, {}, ticket),
    ]);
    for (const each of [held, after.status === "fulfilled" ? after.value.ticket : held])
      await expect(renew(each)).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
  }
});

const bad: [string, Partial<typeof person>][] = [
  ["no name", { name: "" }],
  ["a name with a space", { name: "a b" }],
  ["a name with a slash", { name: "a/b" }],
  ["a long name", { name: "x".repeat(65) }],
  ["a short password", { password: "1234567" }],
  ["a long password", { password: "x".repeat(257) }],
  ["no device", { device: "" }],
  ["a long device", { device: "x".repeat(65) }],
];

test.each(bad)("account: %s is refused", async (_, facts) => {
  await expect(register(facts)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(login(facts)).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
});

test("account: users find users by name, however it is written; strangers find nobody", async () => {
  const { userId, ticket } = await register();
  const find = (name: string, options = {}) =>
    platform.calleeAs("access").call(Account.find, { name }, options);
  expect(await find("aNN", { ticket })).toEqual({ userId, name: "Ann" });
  await expect(find("bob", { ticket })).rejects.toMatchObject({ code: "NOT_FOUND" });
  await expect(find("a b", { ticket })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await expect(find("Ann")).rejects.toMatchObject({ code: "UNAUTHENTICATED" });
});
