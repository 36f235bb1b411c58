import { expect, test } from "vitest";
import {
  encodeSendManyRequest,
  makeSendRequest,
  Text,
} from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { AdaptiveLevel } from "../svrkit/admission/adaptive-level.ts";
import { isInLastBucket } from "../svrkit/admission/priority.ts";
import { TokenBuckets } from "../svrkit/admission/token-buckets.ts";
import type { CallOptions } from "../svrkit/call.ts";
import { Client } from "../svrkit/client.ts";
import { NO_BYTES, toBytes } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { silentLogger } from "../svrkit/log.ts";
import { Server } from "../svrkit/server.ts";
import { keptLog } from "../svrkit/testing/kept-log.ts";
import { newTicketKeys, TicketSigner } from "../svrkit/ticket/sign.ts";
import { TicketVerifier } from "../svrkit/ticket/verify.ts";
import { Sampler } from "../svrkit/tracing/sampler.ts";
import { Forwarder } from "./forwarder.ts";
import { LATE_AS_NEW_EVERY_MS, REQUEST_TIMEOUT_MS } from "./limits.ts";
import { CLIENT_METHODS } from "./methods.ts";

const server = new Server({ process: "test", campus: "a" }, silentLogger());

test("forwarder: a request fails unexpectedly: its client hears so, the log why, with its trace", async () => {
  const { log, lines } = keptLog();
  const method = [...CLIENT_METHODS.values()].find(({ needsTicket }) => !needsTicket)!;
  const client = new Client({ process: "test", campus: "a" });
  const seen: Uint8Array[] = [];
  const forwarder = new Forwarder({
    callee: (service) => client.callee(service, [], { caller: "access" }),
    tickets: new TicketVerifier({ k1: newTicketKeys().publicKey }),
    own: new Map([
      [
        method.hash,
        (_body, { trace }) => {
          seen.push(trace!);
          throw new Error("a defect");
        },
      ],
    ]),
    rates: new TokenBuckets({ perSecond: 1, burst: 1 }),
    sampler: new Sampler(0),
    log,
    ...{ now: () => 0, arrived: () => 0, server },
  });
  const request = { ticket: NO_BYTES, body: NO_BYTES, isForced: false };
  await expect(forwarder.forward(method, request)).rejects.toMatchObject({ code: "INTERNAL" });
  client.stop();
  const trace = Buffer.from(seen[0]!.subarray(0, 16)).toString("hex");
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    msg: "a request failed unexpectedly",
    method: method.name,
    trace,
  });
  expect(JSON.stringify(lines[0])).toContain("a defect");
});

test.each([
  ["50 sends in one request count as 50", { burst: 60, sends: [50, 9, 1, 1], taken: [50, 9, 1] }],
  ["more than may ever be asked at once count as that", { burst: 20, sends: [50, 1], taken: [20] }],
  ["a request without any counts as one", { burst: 2, sends: [0, 0, 0], taken: [1, 1] }],
])("forwarder: %s", async (_, { burst, sends, taken }) => {
  const keys = newTicketKeys();
  const method = CLIENT_METHODS.get("Text/SendMany")!;
  const client = new Client({ process: "test", campus: "a" });
  const rates = new TokenBuckets({ perSecond: 1, burst });
  const forwarder = new Forwarder({
    callee: (service) => client.callee(service, [], { caller: "access" }),
    tickets: new TicketVerifier({ k1: keys.publicKey }),
    own: new Map([[Text.sendMany.hash, () => Promise.resolve(NO_BYTES)]]),
    ...{ rates, sampler: new Sampler(0), log: keptLog().log },
    ...{ now: () => 0, arrived: () => 0, server },
  });
  const expiresAtMs = Date.now() + 60_000;
  const who = { userId: "ann", device: "phone", issuedAtMs: 1, expiresAtMs };
  const ticket = new TicketSigner("k1", keys.privateKey).sign(who);
  const ask = async (count: number) => {
    forwarder.admit(method.name, ticket);
    const many = Array.from({ length: count }, () => makeSendRequest({ text: "hi" }));
    const body = toBytes(encodeSendManyRequest, { sends: many });
    await forwarder.forward(method, { ticket, body, isForced: false });
  };
  const outcomes = [];
  for (const count of sends) outcomes.push(await ask(count).catch((error) => error));
  client.stop();
  const refused = outcomes.filter((outcome) => outcome !== undefined);
  expect(outcomes.length - refused.length).toBe(taken.length);
  for (const error of refused)
    expect(error).toMatchObject({ code: "RESOURCE_EXHAUSTED", retryable: true });
});

test("forwarder: a request has its time since it arrived, once for all that is done", async () => {
  const client = new Client({ process: "test", campus: "a" });
  const method = CLIENT_METHODS.get("Session/Open")!;
  const given: CallOptions[] = [];
  let arrivedMs = 0;
  const forwarder = new Forwarder({
    callee: (service) => client.callee(service, [], { caller: "access" }),
    tickets: new TicketVerifier({ k1: newTicketKeys().publicKey }),
    own: new Map([
      [
        method.hash,
        (_body, options) => {
          given.push(options);
          return Promise.resolve(NO_BYTES);
        },
      ],
    ]),
    ...{ rates: new TokenBuckets({ perSecond: 1, burst: 1 }), sampler: new Sampler(0) },
    ...{ log: keptLog().log, server, now: () => 10_000, arrived: () => arrivedMs },
  });
  const forward = () =>
    forwarder.forward(method, { ticket: NO_BYTES, body: NO_BYTES, isForced: false });
  arrivedMs = 7_000;
  await forward();
  // A deadline and not a time: two calls, one after the other, share it.
  expect(given[0]).toMatchObject({ deadlineMs: 7_000 + REQUEST_TIMEOUT_MS });
  expect(given[0]!.timeoutMs).toBeUndefined();
  arrivedMs = 10_000 - REQUEST_TIMEOUT_MS;
  await expect(forward()).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  expect(given).toHaveLength(1);
  client.stop();
});

test("forwarder: a process that falls behind sheds what matters least, and asks no service for it", async () => {
  const client = new Client({ process: "test", campus: "a" });
  const sums = { usedMs: 0, idleMs: 0, sheddableEnded: 0, othersEnded: 0 };
  const admission = new AdaptiveLevel({ thread: () => ({ ...sums }) });
  let nowMs = 0;
  let asked = 0;
  // Twice of what it can do is asked for, a quarter of it log-ins.
  let backlogMs = 0;
  const answer = () => {
    asked += 1;
    backlogMs += 2;
    return Promise.resolve(NO_BYTES);
  };
  const login = CLIENT_METHODS.get("Session/Open")!;
  const keys = newTicketKeys();
  const post = CLIENT_METHODS.get("Moments/Post")!;
  const forwarder = new Forwarder({
    callee: (service) => client.callee(service, [], { caller: "access" }),
    tickets: new TicketVerifier({ k1: keys.publicKey }),
    own: new Map([login, post].map(({ hash }) => [hash, answer])),
    ...{ rates: new TokenBuckets({ perSecond: 1, burst: 1 }), sampler: new Sampler(0) },
    ...{ log: keptLog().log, now: () => nowMs, arrived: () => nowMs - backlogMs },
    server: new Server({ process: "test", campus: "a" }, silentLogger(), { admission }),
  });
  const expiresAtMs = Date.now() + 60_000;
  const signer = new TicketSigner("k1", keys.privateKey);
  const ticketOf = (userId: string) =>
    signer.sign({ userId, device: "phone", issuedAtMs: 1, expiresAtMs });
  const refused = { login: 0, post: 0 };
  for (; nowMs < 2_000; nowMs += 1) {
    if (backlogMs > 0) sums.usedMs += 1;
    else sums.idleMs += 1;
    backlogMs = Math.max(0, backlogMs - 1);
    const kind = nowMs % 4 === 0 ? "login" : "post";
    const [method, ticket] =
      kind === "login" ? [login, NO_BYTES] : [post, ticketOf(`user-${nowMs}`)];
    const outcome = forwarder.forward(method, { ticket, body: NO_BYTES, isForced: false });
    await outcome.catch((error) => {
      expect(error).toMatchObject({ code: "OVERLOADED", retryable: true });
      refused[kind] += 1;
    });
  }
  client.stop();
  expect(refused.post).toBeGreaterThan(500);
  // While the level is being found.
  expect(refused.login).toBeLessThan(50);
  expect(asked).toBe(2_000 - refused.login - refused.post);
});

test("forwarder: of what nobody waits for one at a time is as good as new, and the rest the last", async () => {
  const client = new Client({ process: "test", campus: "a" });
  const method = CLIENT_METHODS.get("Session/Open")!;
  const given: CallOptions[] = [];
  const answers: PromiseWithResolvers<Uint8Array>[] = [];
  let nowMs = 1_000;
  const forwarder = new Forwarder({
    callee: (service) => client.callee(service, [], { caller: "access" }),
    tickets: new TicketVerifier({ k1: newTicketKeys().publicKey }),
    own: new Map([
      [
        method.hash,
        (_body, options) => {
          given.push(options);
          answers.push(Promise.withResolvers());
          return answers.at(-1)!.promise;
        },
      ],
    ]),
    ...{ rates: new TokenBuckets({ perSecond: 1, burst: 1 }), sampler: new Sampler(0) },
    ...{ log: keptLog().log, server, now: () => nowMs, arrived: () => nowMs },
  });
  const request = { ticket: NO_BYTES, body: NO_BYTES, isForced: false };
  const forwarded: Promise<Uint8Array>[] = [];
  const ask = (isLate: boolean) =>
    forwarded.push(forwarder.forward(method, { ...request, isLate }));
  const pass = () => {
    nowMs += LATE_AS_NEW_EVERY_MS;
  };
  for (const isLate of [false, true, true]) ask(isLate);
  pass();
  // The first late one is still open.
  ask(true);
  answers[1]!.reject(new RpcError("OVERLOADED", "too much to do"));
  await expect(forwarded[1]).rejects.toMatchObject({ code: "OVERLOADED" });
  for (const isLate of [true, true, false]) ask(isLate);
  for (const { resolve } of answers) resolve(NO_BYTES);
  await Promise.allSettled(forwarded);
  // One ended just now, but the last began just now, too.
  ask(true);
  pass();
  ask(true);
  for (const { resolve } of answers) resolve(NO_BYTES);
  await Promise.allSettled(forwarded);
  client.stop();
  const areLast = given.map(({ priority }) => isInLastBucket(priority!));
  expect(areLast).toEqual([false, false, true, true, false, true, false, true, false]);
});

test("forwarder: a forged ticket that came just now is looked at within its address's limit", () => {
  const client = new Client({ process: "test", campus: "a" });
  const forwarder = new Forwarder({
    callee: (service) => client.callee(service, [], { caller: "access" }),
    tickets: new TicketVerifier({ k1: newTicketKeys().publicKey }),
    own: new Map(),
    rates: new TokenBuckets({ perSecond: 1, burst: 1 }),
    sampler: new Sampler(0),
    log: keptLog().log,
    ...{ now: () => 0, arrived: () => 0, server },
  });
  const facts = { userId: "u-ann", device: "phone", issuedAtMs: 0, expiresAtMs: 60_000 };
  const forged = new TicketSigner("k1", newTicketKeys().privateKey).sign(facts);
  let left = 1;
  const limit = { take: () => left-- > 0, giveBack: () => {} };
  const admit = () => forwarder.admit("Text/Send", forged, limit);
  expect(admit).toThrow(expect.objectContaining({ code: "UNAUTHENTICATED" }));
  expect(admit).toThrow(expect.objectContaining({ code: "RESOURCE_EXHAUSTED" }));
  client.stop();
});
