import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { encodeLogRecord } from "../../../protos/gen/tricampus/kv/v1/storage_codec.ts";
import { toBytes } from "../../svrkit/codec.ts";
import { SLOTS } from "../../svrkit/failover/shards.ts";
import { readMonitors } from "../../svrkit/monitors/monitor.ts";
import { REPLAY_TURN_MS } from "../limits.ts";
import { sealDecision } from "../protocol/decision.ts";
import { openTestState } from "../testing/test-state.ts";
import type { EngineEntry } from "./engine.ts";
import { systemFiles } from "./files.ts";
import { MemoryEngine } from "./memory.ts";
import { registerKey } from "./record.ts";
import { Replay } from "./replay.ts";
import type { State } from "./state.ts";
import { logRecord } from "./stored-register.ts";

const KEYS = 3_000;
/** Keys that share a bucket with one that is asked for, with their records: never so many. */
const FEW = 20;

let dir = "";
let engine = new MemoryEngine();
let opened: State[] = [];
let failures: string[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-replay-"));
  engine = new MemoryEngine();
  opened = [];
  failures = [];
});
afterEach(async () => {
  for (const state of opened) await state.close();
  rmSync(dir, { recursive: true, force: true });
});

async function open(on = engine): Promise<State> {
  const state = await openTestState({
    engine: on,
    dir,
    fatal: (error) => failures.push(error.message),
  });
  opened.push(state);
  return state;
}

const key = (i: number) => ({
  keyspace: i % 2 === 0 ? Keyspace.ACCOUNT : Keyspace.INBOX,
  key: Buffer.from(`key-${i}`),
});
const versionOf = (i: number) => (i % 3 === 0 ? 2 : 1);

function learn(state: State, i: number, version: number): void {
  const body = { deleted: false, value: Buffer.from(`${version}`), operations: undefined };
  const owner = { replica: 0, incarnation: 1 };
  const decision = sealDecision(version, owner, { case: "key", value: body });
  state.take(state.entry(key(i)), { kind: "learn", decision });
}

/** The next start finds every key in the log alone. */
async function crash(keys = KEYS): Promise<void> {
  const state = await open();
  for (let i = 0; i < keys; i++) learn(state, i, 1);
  for (let i = 0; i < keys; i += 3) learn(state, i, 2);
  await state.durable(state.logged);
}

function expectAll(versionIn: (i: number) => number | undefined): void {
  for (let i = 0; i < KEYS; i++) expect(versionIn(i)).toBe(versionOf(i));
}

const heldIn = (state: State) => (i: number) => state.entry(key(i)).register.heldVersion;

test("replay: a start takes in what is asked for, and little more, at its newest", async () => {
  await crash();
  const state = await open();
  expect(state.unreplayed).toBe((KEYS * 4) / 3);
  for (const [i, look] of [state.entry(key(3)), state.peek(key(4))].entries()) {
    expect(look.register.heldVersion).toBe(versionOf(3 + i));
    expect(state.unreplayed).toBeGreaterThan((KEYS * 4) / 3 - 2 * FEW);
  }
  expectAll(heldIn(state));
  expect(state.unreplayed).toBe(0);
});

test("replay: what nobody asks for is taken in soon after", async () => {
  await crash();
  const state = await open();
  await expect.poll(() => state.unreplayed, { timeout: 20_000 }).toBe(0);
  expectAll(heldIn(state));
});

test("replay: a replica that stops before all is taken in keeps the log", async () => {
  await crash();
  const state = await open();
  learn(state, 1, 2);
  await state.close();
  const again = await open();
  expectAll((i) => (i === 1 ? heldIn(again)(1) - 1 : heldIn(again)(i)));
});

test("replay: a listing at once after the start holds every key at its newest version", async () => {
  await crash();
  const state = await open();
  const versions = new Map<string, number>();
  let mostTaken = 0;
  let after: Buffer | undefined;
  do {
    const before = state.unreplayed;
    const page = state.list(after, 100);
    mostTaken = Math.max(mostTaken, before - state.unreplayed);
    for (const { entryKey, register } of page.listed)
      versions.set(entryKey.toString("latin1"), register!.heldVersion);
    after = page.next;
  } while (after !== undefined);
  expectAll((i) => versions.get(registerKey(key(i)).toString("latin1")));
  expect(mostTaken).toBeLessThan(400);
});

test("S5: what is committed of slots includes what nobody has asked for", async () => {
  await crash();
  const state = await open();
  const span = { keyspace: Keyspace.INBOX, first: 0, last: SLOTS / 2 };
  await state.commitSlots([span]);
  for (let i = 0; i < KEYS; i++) {
    const own = registerKey(key(i));
    if (own[0] === span.keyspace && own.readUInt16BE(1) <= span.last)
      expect(engine.register(own)).toBeDefined();
  }
});

test("replay: a checkpoint waits until all is taken in, and then the log goes", async () => {
  await crash();
  const state = await open();
  await state.checkpoint();
  expect(state.unreplayed).toBe(0);
  for (const name of readdirSync(dir)) rmSync(join(dir, name));
  expectAll(heldIn(await open()));
});

test("replay: a log of which the engine has everything already goes with the next checkpoint, too", async () => {
  await crash(3);
  const kept = mkdtempSync(join(tmpdir(), "tricampus-replay-"));
  cpSync(dir, kept, { recursive: true });
  const before = await open();
  await before.checkpoint();
  await before.close();
  opened = [];
  rmSync(dir, { recursive: true });
  renameSync(kept, dir);
  const state = await open();
  expect(state.unreplayed).toBe(4);
  await state.checkpoint();
  expect(state.memory.dirtyBytes).toBe(0);
  expect((await open()).unreplayed).toBe(0);
});

/** Values of a mebibyte, in the log alone. */
const LARGE = 1024 * 1024;

async function crashWithLarge(keys: number): Promise<void> {
  const state = await open();
  for (let i = 0; i < keys; i++) {
    const body = { deleted: false, value: Buffer.alloc(LARGE, i), operations: undefined };
    const owner = { replica: 0, incarnation: 1 };
    const decision = sealDecision(1, owner, { case: "key", value: body });
    state.take(state.entry(key(i)), { kind: "learn", decision });
    // Each is a group of its own: one that is read is in memory as a whole.
    await state.durable(state.logged);
  }
}

const bufferBytes = () => process.memoryUsage().arrayBuffers;

test("replay: a long log takes no memory at a start, and is read again record by record", async () => {
  await crashWithLarge(32);
  opened.shift(); // its memory may go
  const before = bufferBytes();
  const state = await open();
  expect(state.unreplayed).toBe(32);
  expect(bufferBytes() - before).toBeLessThan(16 * LARGE);
  const { held } = state.entry(key(7)).register;
  const value = held.model === "key" ? held.decision.key.value : Buffer.of();
  expect(Buffer.alloc(LARGE, 7).equals(value)).toBe(true);
});

test("replay: what is taken in of a long log is written to the engine, and the log stays until the end", async () => {
  await crash(KEYS);
  const checkpointBytes = 64 * 1024;
  const state = await openTestState({ engine, dir, checkpointBytes, cacheBytes: checkpointBytes });
  opened.push(state);
  let most = 0;
  while (state.unreplayed > 0) {
    most = Math.max(most, state.memory.dirtyBytes + state.memory.cleanBytes);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const inEngine = Array.from({ length: KEYS }, (_, i) => engine.register(registerKey(key(i))));
  expect(inEngine.filter((register) => register !== undefined).length).toBeGreaterThan(KEYS / 2);
  expect(most).toBeLessThan(6 * checkpointBytes);
  // A crash before the next checkpoint: the log brings all of it over what the engine has.
  const again = await open();
  expect(again.unreplayed).toBe((KEYS * 4) / 3);
  expectAll(heldIn(again));
});

test("S5: tombstones that are being removed keep nothing else in memory while a long log is taken in", async () => {
  await crash(KEYS);
  const bytes = 64 * 1024;
  const forgotten = { keys: [{ key: key(0), version: 2 }], floor: { version: 5, forgottenMs: 0 } };
  const state = await openTestState(
    { engine, dir, checkpointBytes: bytes, cacheBytes: bytes },
    forgotten,
  );
  opened.push(state);
  let most = 0;
  while (state.unreplayed > 0) {
    most = Math.max(most, state.memory.dirtyBytes + state.memory.cleanBytes);
    // A record in the log would bring it back at the next start.
    expect(state.isForgottenRemoved).toBe(false);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(most).toBeLessThan(6 * bytes);
  expect(state.isForgottenRemoved).toBe(false);
  await state.checkpoint();
  expect(state.isForgottenRemoved).toBe(true);
  expect(engine.register(registerKey(key(0)))).toBeUndefined();
  expect(heldIn(state)(3)).toBe(versionOf(3));
});

test("replay: a stop waits for no more than what is being written of a long log", async () => {
  const gate = Promise.withResolvers<void>();
  let commits = 0;
  const gated = new (class extends MemoryEngine {
    override async commit(entries: readonly EngineEntry[]): Promise<void> {
      commits += 1;
      await gate.promise;
      await super.commit(entries);
    }
  })();
  await crash(12_000);
  const state = await openTestState({ engine: gated, dir, checkpointBytes: 1024 * 1024 });
  await expect.poll(() => commits, { timeout: 20_000 }).toBeGreaterThan(0);
  const closed = state.close();
  gate.resolve();
  await closed;
  // Those that are waited for together.
  expect(commits).toBe(8);
  expectAll(heldIn(await open(gated)));
});

test("replay: while a long log is taken in it gets no longer, however often a start is cut off", async () => {
  await crash();
  const checkpointBytes = 8 * 1024;
  const state = await openTestState({ engine, dir, checkpointBytes });
  opened.push(state);
  expect(() => learn(state, 1, 2)).toThrow("MB of the log wait until all of it is taken in");
  await expect.poll(() => state.unreplayed, { timeout: 20_000 }).toBe(0);
  await state.checkpoint();
  learn(state, 1, 2);
});

test.each<[string, (path: string) => void]>([
  ["cut off", (path) => truncateSync(path, 20)],
  [
    "damaged",
    (path) => {
      const bytes = readFileSync(path);
      bytes[bytes.length - 2]! ^= 1;
      writeFileSync(path, bytes);
    },
  ],
])("S3: a record that is %s after it was read at the start ends the process", async (_, damage) => {
  await crash(1);
  const state = await open();
  damage(join(dir, readdirSync(dir).find((name) => /^log-\d+$/.test(name))!));
  expect(() => state.entry(key(0))).toThrow("is not as it was at the start");
  expect(failures).toHaveLength(1);
});

test("replay: who asks after the log is closed is refused, which no record is missing for", async () => {
  await crash(3);
  const state = await open();
  await state.close();
  expect(state.unreplayed).toBeGreaterThan(0);
  expect(() => state.entry(key(1))).toThrow("the replica stops before");
  expect(failures).toEqual([]);
});

/** Its commits fail: the log begins a segment more. */
class FullEngine extends MemoryEngine {
  override commit(): Promise<void> {
    return Promise.reject(new Error("no space"));
  }
}

test("replay: a segment that cannot be closed after it was taken in ends the process, with its reason", async () => {
  const before = await open(new FullEngine());
  learn(before, 1, 1);
  await before.checkpoint();
  await before.close();
  opened = [];
  await openTestState({
    engine,
    dir,
    files: {
      ...systemFiles,
      open: async (path) => {
        const file = await systemFiles.open(path);
        return { ...file, close: () => file.close().then(() => Promise.reject(new Error("EIO"))) };
      },
    },
    fatal: (error) => failures.push(error.message),
  });
  await expect.poll(() => failures, { timeout: 20_000 }).toEqual(["EIO"]);
});

/** Its first read fails. */
class FailingEngine extends MemoryEngine {
  isFailing = true;

  override register(registerKey: Buffer): Buffer | undefined {
    if (!this.isFailing) return super.register(registerKey);
    this.isFailing = false;
    throw new Error("the engine cannot be read");
  }
}

test("S1: what cannot be taken in ends the process, and no key is served without it", async () => {
  await crash(1);
  const state = await open(new FailingEngine());
  expect(() => state.entry(key(0))).toThrow("cannot be read");
  expect(failures).toEqual(["the engine cannot be read"]);
  expect(() => state.entry(key(0))).toThrow("cannot be read");
  expect(() => state.list(undefined, 10)).toThrow("cannot be read");
  await expect(state.commitAll()).rejects.toThrow("cannot be read");
});

function spin(ms: number): void {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

/** Every register that is read takes a while. */
class SlowEngine extends MemoryEngine {
  override register(registerKey: Buffer): Buffer | undefined {
    spin(1);
    return super.register(registerKey);
  }
}

test("replay: a page of a listing takes in no more than a turn has time for, and the pages miss nothing", async () => {
  const keys = 600;
  await crash(keys);
  const state = await open(new SlowEngine());
  const names = new Set<string>();
  let mostTaken = 0;
  let after: Buffer | undefined;
  do {
    const before = state.unreplayed;
    const page = state.list(after, keys);
    mostTaken = Math.max(mostTaken, before - state.unreplayed);
    for (const { entryKey } of page.listed) names.add(entryKey.toString("latin1"));
    after = page.next;
  } while (after !== undefined);
  expect(names.size).toBe(keys);
  expect(mostTaken).toBeLessThan(keys / 10);
}, 60_000);

test("replay: what waits for all of the log fails at once when the replica stops", async () => {
  await crash();
  const state = await open(new SlowEngine());
  const before = state.unreplayed;
  const waiting = [state.checkpoint(), state.commitAll()].map((wait) => wait.catch(String));
  state.stopIntake();
  for (const outcome of await Promise.all(waiting)) expect(outcome).toContain("the replica stops");
  expect(before - state.unreplayed).toBeLessThan(FEW);
});

test("replay: a monitor tells how many records are left", async () => {
  await crash();
  const told = () => readMonitors().find(({ name }) => name === "kvsvr.unreplayed")?.value;
  const state = await open();
  expect(told()).toBe((KEYS * 4) / 3);
  await expect.poll(() => state.unreplayed, { timeout: 20_000 }).toBe(0);
  expect(told()).toBe(0);
});

/** Records of so many keys, of slots of their own, whose intake takes longer than a turn each. */
function slowReplay(keys: number, isPressed: boolean): Replay {
  const replay = new Replay({
    take: () => spin(REPLAY_TURN_MS + 1),
    isPressed: () => isPressed,
    relieve: () => Promise.resolve(),
    fatal: (error) => failures.push(error.message),
  });
  for (let i = 0; i < keys; i++) {
    const record = toBytes(
      encodeLogRecord,
      logRecord(key(2 * i), { kind: "settle", from: undefined }),
    );
    const bytes = Buffer.from(record);
    const file = { readNow: (into: Buffer, position: number) => bytes.copy(into, 0, position) };
    replay.add({ file, position: 0, bytes }, 0, bytes.length);
  }
  return replay;
}

test("replay: it rests as long as it worked, and for one turn of others alone when a checkpoint is due", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  try {
    const calm = slowReplay(3, false);
    const resting = calm.within(0, Number.POSITIVE_INFINITY);
    expect(calm.left).toBe(2);
    await vi.advanceTimersByTimeAsync(REPLAY_TURN_MS - 1);
    expect(calm.left).toBe(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(calm.left).toBe(1);
    await vi.runAllTimersAsync();
    expect(await resting).toBe(true);
    const pressed = slowReplay(3, true);
    const hurrying = pressed.within(0, Number.POSITIVE_INFINITY);
    expect(pressed.left).toBe(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(pressed.left).toBeLessThan(2);
    await vi.advanceTimersByTimeAsync(1);
    expect(await hurrying).toBe(true);
  } finally {
    vi.useRealTimers();
  }
});
