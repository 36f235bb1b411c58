import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Kv, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { NEVER_SHED } from "../svrkit/admission/priority.ts";
import { type Call, monotonicMs } from "../svrkit/call.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { inForce, onLimits, putInForce, USUAL_LIMITS } from "../svrkit/config/limits-in-force.ts";
import type { RpcError } from "../svrkit/errors.ts";
import { type Logger, silentLogger } from "../svrkit/log.ts";
import { readTrouble } from "../svrkit/monitors/trouble.ts";
import { Server } from "../svrkit/server.ts";
import { newTicketKeys, TicketSigner } from "../svrkit/ticket/sign.ts";
import { TicketVerifier } from "../svrkit/ticket/verify.ts";
import { allowedCallers } from "./allowed-callers.ts";
import { followLimits, readLimits } from "./limits-file.ts";
import { ticketKeys } from "./ticket-keys.ts";
import { usualCallers } from "./usual-callers.ts";

let dir: string;
let path: string;
const cleanUps: (() => unknown)[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-limits-"));
  path = join(dir, "limits.json");
});
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
  putInForce(USUAL_LIMITS);
  rmSync(dir, { recursive: true });
});

const write = (text: string) => writeFileSync(path, text);

test("limits: without a file they are as usual, and a file says only what differs", () => {
  expect(readLimits(path)).toEqual(USUAL_LIMITS);
  write('{ "queueDelayMs": 40 }');
  expect(readLimits(path)).toEqual({ ...USUAL_LIMITS, queueDelayMs: 40 });
});

test.each([
  ["{", "limits.json: "],
  ['{ "queueDelayMs": -1 }', "limits.json: queueDelayMs: "],
  [
    '{ "queueDelay": 1 }',
    "limits.json: queueDelay: there is no such field; there are callsInFlightMax, calleeCallsMax, ",
  ],
  ["[]", "limits.json: Invalid input"],
  ['{ "classes": { "Moment": "other" } }', 'classes: clients have no method or service "Moment"'],
  ['{ "classes": { "Moments": "urgent" } }', "limits.json: classes.Moments: "],
  ['{ "traceShare": 2 }', "limits.json: traceShare: "],
  [
    '{ "callers": { "kv.Kw": ["cli"] } }',
    '"kv.Kw" is no method or service of the table of callers',
  ],
  [
    '{ "callers": { "kv.Kv": ["clii"] } }',
    'limits.json: callers: kv.Kv: there is no service "clii"',
  ],
  ['{ "callers": { "kv.Kv": ["text"] } }', 'limits.json: callers: kv.Kv: "text" is none of its'],
  ['{ "calleeCallsMax": 30000 }', "limits.json: calleeCallsMax: one service would get more"],
])("limits: %s is refused with the file and the field", (text, message) => {
  write(text);
  expect(() => readLimits(path)).toThrow(message);
});

test("limits: beside a broken file a process starts with the usual ones, until it is mended", async () => {
  write('{ "queueDelayMs": "many" }');
  const { log, lines } = warnings();
  const limits = followLimits(path, { log });
  cleanUps.push(() => limits.stop());
  expect(inForce).toEqual(USUAL_LIMITS);
  const trouble = /^limits: the usual limits and callers are in force: .*queueDelayMs/;
  expect(readTrouble()).toMatch(trouble);
  expect(lines).toEqual([expect.stringContaining("the usual limits and callers are in force: ")]);
  limits.stop();
  limits.watch(5);
  write('{ "queueDelayMs": 40 }');
  await expect.poll(() => inForce.queueDelayMs).toBe(40);
  await expect.poll(readTrouble).toBe("");
});

test("limits: beside a broken file a process starts with the last good ones, and gives nothing back", async () => {
  const copy = join(dir, "run", "text.limits.json");
  const start = () => {
    const { log, lines } = warnings();
    const limits = followLimits(path, { log, copy });
    limits.stop();
    return lines;
  };
  const kept = () => (existsSync(copy) ? readFileSync(copy, "utf8") : "");
  const good = '{ "queueDelayMs": 40, "callers": { "router.Router/Lookup": ["text"] } }';
  write(good);
  start();
  await expect.poll(kept).toBe(good);
  write("{");
  putInForce(USUAL_LIMITS);
  const told = start();
  expect(inForce).toMatchObject({
    queueDelayMs: 40,
    callers: { "router.Router/Lookup": ["text"] },
  });
  const trouble = /^limits: the limits and callers of the last good file are in force: /;
  expect(readTrouble()).toMatch(trouble);
  expect(told[0]).toContain("the last good file are in force: ");
  expect(told[1]).toContain("callers are taken away");
  expect(kept()).toBe(good);
  // What is taken back by removing the file does not come back, and is said once.
  rmSync(path);
  expect(start().join("")).toContain("limits.json is gone: the usual limits and callers are");
  await expect.poll(kept).toBe("{}\n");
  expect(start()).toEqual([]);
  expect(inForce).toEqual(USUAL_LIMITS);
  // A copy of no use is as good as none.
  write("{");
  writeFileSync(copy, '{ "of": "another version" }');
  start();
  expect(inForce).toEqual(USUAL_LIMITS);
  expect(readTrouble()).toMatch(/^limits: the usual limits and callers are in force: /);
});

test("limits: a copy that cannot be kept is said, and the limits count all the same", async () => {
  const { log, lines } = warnings();
  write('{ "queueDelayMs": 40 }');
  writeFileSync(join(dir, "run"), "not a folder");
  followLimits(path, { log, copy: join(dir, "run", "text.limits.json") }).stop();
  expect(inForce.queueDelayMs).toBe(40);
  await expect.poll(() => lines.join("")).toContain("no copy of the limits is kept");
});

test("limits: a change counts at once, a broken file changes nothing and is said to be broken", async () => {
  const seen: number[] = [];
  cleanUps.push(onLimits(() => seen.push(inForce.queueDelayMs)));
  const limits = followLimits(path, { log: silentLogger() });
  cleanUps.push(() => limits.stop());
  limits.stop();
  limits.watch(5);
  write('{ "queueDelayMs": 40, "callsInFlightMax": 50000 }');
  await expect.poll(() => inForce.queueDelayMs).toBe(40);
  expect(inForce.callsInFlightMax).toBe(50_000);
  write('{ "queueDelayMs": "many" }');
  await expect
    .poll(readTrouble)
    .toMatch(/limits: what was in force stays in force: .*queueDelayMs/);
  expect(inForce.queueDelayMs).toBe(40);
  rmSync(path);
  await expect.poll(() => inForce.queueDelayMs).toBe(20);
  await expect.poll(readTrouble).toBe("");
  expect(seen.filter((ms, i) => ms !== seen[i - 1])).toEqual([20, 40, 20]);
});

test("ticket keys: the next key is known before it signs, the old one until it goes, broken ones never", async () => {
  const [old, next] = [newTicketKeys(), newTicketKeys()];
  const put = (id: string, pem: string) => writeFileSync(join(dir, `${id}.pem`), pem);
  put("k1", old.publicKey);
  const keys = ticketKeys({ files: {}, dir }, silentLogger());
  const verifier = new TicketVerifier(keys.value, { now: () => 2_000 });
  keys.onChange((changed) => verifier.setKeys(changed));
  keys.watch(5);
  cleanUps.push(() => keys.stop());
  const facts = { userId: "00au1-1", device: "phone", issuedAtMs: 1_000, expiresAtMs: 9_000 };
  const young = new TicketSigner("k2", next.privateKey).sign(facts);
  expect(() => verifier.verify(young)).toThrow(/not one of ours/);
  put("k2", "no key");
  await expect.poll(readTrouble).toMatch(/ticket keys: .*k2\.pem is no public key/);
  put("k2", next.publicKey);
  await expect.poll(() => verifier.keyIds).toEqual(["k1", "k2"]);
  expect(verifier.verify(young).userId).toBe("00au1-1");
  rmSync(join(dir, "k1.pem"));
  await expect.poll(() => verifier.keyIds).toEqual(["k2"]);
  const before = new TicketSigner("k1", old.privateKey).sign(facts);
  expect(() => verifier.verify(before)).toThrow(/not one of ours/);
});

test("ticket keys: those of a folder that is gone stay in force, and people are told", async () => {
  const folder = join(dir, "moved");
  const put = (id: string) => writeFileSync(join(folder, `${id}.pem`), newTicketKeys().publicKey);
  mkdirSync(folder);
  put("k1");
  const keys = ticketKeys({ files: {}, dir: folder }, silentLogger());
  cleanUps.push(() => keys.stop());
  keys.watch(5);
  renameSync(folder, `${folder}.old`);
  await expect.poll(readTrouble).toMatch(/^ticket keys: what was in force stays in force: .*moved/);
  expect(Object.keys(keys.value)).toEqual(["k1"]);
  mkdirSync(folder);
  put("k2");
  await expect.poll(() => Object.keys(keys.value)).toEqual(["k2"]);
  await expect.poll(readTrouble).toBe("");
});

test("ticket keys: where there were none, a broken one leaves it so", async () => {
  const folder = join(dir, "keys");
  const keys = ticketKeys({ files: {}, dir: folder }, silentLogger());
  cleanUps.push(() => keys.stop());
  keys.watch(5);
  mkdirSync(folder);
  writeFileSync(join(folder, "k1.pem"), "no key");
  await expect
    .poll(readTrouble)
    .toMatch(/^ticket keys: what was in force stays in force: .*k1\.pem/);
  expect(keys.value).toEqual({});
  writeFileSync(join(folder, "k1.pem"), newTicketKeys().publicKey);
  await expect.poll(readTrouble).toBe("");
});

test("callers: those taken away count from the next call on, a broken one changes nothing", async () => {
  const identity = { process: "a/kvsvr", campus: "a" };
  const server = new Server(identity, silentLogger(), { allowed: allowedCallers });
  server.add(Kv.get, () => ({ found: false, value: NO_BYTES, version: 0 }));
  const request = { key: undefined, level: Level.STRONG };
  const outcomeFor = (caller: string) =>
    server.invoke(Kv.get, request, callBy(caller)).then(
      () => "OK",
      (error: RpcError) => error.code,
    );
  const outcomes = async () => [await outcomeFor("queue"), await outcomeFor("inbox-data")];
  const without = (...gone: string[]) =>
    JSON.stringify({
      callers: { "kv.Kv": usualCallers("kv.Kv")!.filter((name) => !gone.includes(name)) },
    });
  write(without("queue"));
  const { log, lines } = warnings();
  const limits = followLimits(path, { log });
  cleanUps.push(() => limits.stop());
  expect(await outcomes()).toEqual(["PERMISSION_DENIED", "OK"]);
  expect(lines).toEqual([expect.stringContaining('"taken":{"kv.Kv":["queue"]}')]);
  limits.stop();
  limits.watch(5);
  write(without("queue", "inbox-data"));
  await expect.poll(() => outcomeFor("inbox-data")).toBe("PERMISSION_DENIED");
  await expect.poll(() => lines.at(-1)).toContain('"taken":{"kv.Kv":["inbox-data","queue"]}');
  write('{ "callers": { "kv.Kv": ["text"] } }');
  await expect.poll(readTrouble).toMatch(/limits: .*"text" is none of its usual callers/);
  expect(await outcomes()).toEqual(["PERMISSION_DENIED", "PERMISSION_DENIED"]);
  expect(await outcomeFor("text")).toBe("PERMISSION_DENIED");
  rmSync(path);
  await expect.poll(outcomes).toEqual(["OK", "OK"]);
});

/** What a process warns of, line by line. */
function warnings(): { log: Logger; lines: string[] } {
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line) => void lines.push(line) });
  return { log, lines };
}

function callBy(caller: string): Call {
  const nowMs = monotonicMs();
  return {
    ...{ arrivedMs: nowMs, deadlineMs: nowMs + 5_000, caller, priority: NEVER_SHED },
    ...{ operationId: NO_BYTES, ticket: NO_BYTES, trace: NO_BYTES },
  };
}
