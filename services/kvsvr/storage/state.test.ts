import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { CHECKPOINT_CHUNK } from "../limits.ts";
import { type Decision, sealDecision } from "../protocol/decision.ts";
import { learnChange } from "../testing/learned-table.ts";
import { openTestState } from "../testing/test-state.ts";
import { type EngineEntry, EngineFailed, type StateEngine } from "./engine.ts";
import { MemoryEngine } from "./memory.ts";
import type { State, StateOptions } from "./state.ts";

/** As many chunks a checkpoint writes at once (checkpoints.ts). */
const CHUNKS_AT_ONCE = 8;

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-state-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function open(
  engine: StateEngine,
  cacheBytes = 1 << 30,
  checkpointMs = 60_000,
  given: Partial<StateOptions> = {},
): Promise<State> {
  return openTestState({ engine, dir, cacheBytes, checkpointMs, ...given });
}

const key = (i: number) => ({
  keyspace: i % 2 === 0 ? Keyspace.ACCOUNT : Keyspace.INBOX,
  key: Buffer.from(`key-${i}`),
});

function learn(state: State, i: number, version: number): void {
  const value = Buffer.from(`${version}`);
  const body = { deleted: false, value, operations: undefined };
  const owner = { replica: 0, incarnation: 1 };
  const decision = sealDecision(version, owner, { case: "key", value: body });
  state.take(state.entry(key(i)), { kind: "learn", decision });
}

function listAll(state: State, limit: number): { versions: Map<string, number>; pages: number[] } {
  const versions = new Map<string, number>();
  const pages: number[] = [];
  let cursor: Buffer | undefined;
  for (let more = true; more; ) {
    const page = state.list(cursor, limit);
    for (const { entryKey, register } of page.listed) {
      const name = entryKey.subarray(4).toString();
      expect(versions.has(name)).toBe(false);
      versions.set(name, register!.known.version);
    }
    pages.push(page.listed.length);
    cursor = page.next;
    more = cursor !== undefined;
  }
  return { versions, pages };
}

test("state: pages of a listing hold every key once, at its newest version, and stay small", async () => {
  const engine = new MemoryEngine();
  const first = await open(engine);
  for (let i = 0; i < 3_000; i += 3) learn(first, i, 1);
  await first.close(); // a checkpoint: these are in the engine
  const state = await open(engine);
  for (let i = 0; i < 3_000; i += 2) learn(state, i, 7);
  const { versions, pages } = listAll(state, 100);
  for (let i = 0; i < 3_000; i++) {
    const expected = i % 2 === 0 ? 7 : i % 3 === 0 ? 1 : undefined;
    expect(versions.get(`key-${i}`)).toBe(expected);
  }
  expect(Math.max(...pages)).toBeLessThan(400);
  await state.close();
});

test("state: with nothing in the engine yet a page is no larger either", async () => {
  const state = await open(new MemoryEngine());
  for (let i = 0; i < 2_000; i++) learn(state, i, 1);
  const { versions, pages } = listAll(state, 50);
  expect(versions.size).toBe(2_000);
  expect(Math.max(...pages)).toBeLessThan(150);
  await state.close();
});

test("state: what was durable is there after a start without a checkpoint, from the log alone", async () => {
  const engine = new MemoryEngine();
  const crashed = await open(engine);
  for (let i = 0; i < 200; i++) learn(crashed, i, 1);
  for (let i = 0; i < 200; i += 2) learn(crashed, i, 2);
  const last = crashed.entry(key(198));
  await crashed.durable(last.logged);
  const state = await open(engine);
  for (let i = 0; i < 200; i++)
    expect(state.entry(key(i)).register.heldVersion).toBe(i % 2 === 0 ? 2 : 1);
  await state.close();
  await crashed.close();
});

/** Refuses some commits, the first ones unless it is said, as a disk that is full for a while does. */
class RefusingEngine extends MemoryEngine {
  refusals = 1;
  commits = 0;
  taken = 0;

  override commit(entries: readonly EngineEntry[]): Promise<void> {
    this.commits += 1;
    if (this.refusals <= 0 || this.commits <= this.taken) return super.commit(entries);
    this.refusals -= 1;
    return Promise.reject(new Error("no space left"));
  }
}

test("state: after a checkpoint that failed the next one writes all of it, and only then the log goes", async () => {
  const keys = 6_000; // a checkpoint that fails at its beginning never comes to the last ones
  const engine = new RefusingEngine();
  const crashed = await open(engine, 1 << 30, 20);
  for (let i = 0; i < keys; i++) learn(crashed, i, 1);
  await crashed.durable(crashed.logged);
  const segments = () => readdirSync(dir).filter((name) => name.startsWith("log-"));
  await expect.poll(segments, { timeout: 5_000 }).not.toContain("log-0000000001");
  const written = () => listAll(crashed, 500).versions.size;
  expect(written()).toBe(keys);
  await crashed.close();
  const state = await open(engine);
  expect(engine.refusals).toBe(0);
  expect(listAll(state, 500).versions.size).toBe(keys);
  await state.close();
});

test("state: of a checkpoint that failed in part the rest is written, also when what was has left memory", async () => {
  const keys = 3 * CHUNKS_AT_ONCE * CHECKPOINT_CHUNK;
  const engine = new RefusingEngine();
  engine.taken = CHUNKS_AT_ONCE - 1;
  const crashed = await open(engine, 1);
  for (let i = 0; i < keys; i++) {
    learn(crashed, i, 1);
    // A key is packed, and can leave memory, when nobody has worked on it for some turns.
    if (i % CHECKPOINT_CHUNK === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await crashed.durable(crashed.logged);
  await crashed.checkpoint();
  expect(engine.refusals).toBe(0);
  learn(crashed, keys, 1);
  const segments = () => crashed.checkpoint().then(() => readdirSync(dir));
  await expect.poll(segments, { timeout: 5_000 }).not.toContain("log-0000000001");
  await crashed.close();
  const state = await open(engine);
  expect(listAll(state, 500).versions.size).toBe(keys + 1);
  await state.close();
});

test("state: rows whose checkpoint failed count until one is written; too many are refused", async () => {
  const engine = new RefusingEngine();
  engine.refusals = Number.POSITIVE_INFINITY;
  const state = await open(engine, 1 << 30, 60_000, { checkpointBytes: 4_096 });
  // In one turn: the checkpoint that is due takes all of it.
  for (let i = 0; state.refusing === undefined; i++) learnChange(state, [`row-${i}`]);
  const waiting = state.memory.dirtyBytes;
  await state.checkpoint();
  expect(engine.commits).toBeGreaterThan(0);
  expect(state.memory.dirtyBytes).toBe(waiting);
  expect(() => learnChange(state, ["one-more"])).toThrow("wait for a checkpoint");
  engine.refusals = 0;
  const left = () => state.checkpoint().then(() => state.memory.dirtyBytes);
  await expect.poll(left, { timeout: 5_000 }).toBe(0);
  learnChange(state, ["one-more"]);
  await state.close();
});

test("state: a checkpoint that was refused is tried again; of an engine that failed the process ends", async () => {
  const failures: string[] = [];
  const engine = new RefusingEngine();
  const fatal = (error: Error) => failures.push(error.message);
  const state = await open(engine, 1 << 30, 60_000, { fatal });
  learn(state, 1, 1);
  await state.checkpoint();
  expect([engine.refusals, failures]).toEqual([0, []]);
  engine.commit = () => Promise.reject(new EngineFailed("it must be opened anew"));
  const failed = () => state.checkpoint().then(() => failures);
  await expect.poll(failed, { timeout: 5_000 }).toEqual(["it must be opened anew"]);
});

test("S3: what is settled once more, from the log, leaves alone what was heard of since", async () => {
  const engine = new MemoryEngine();
  const crashed = await open(engine);
  const entry = crashed.entry(key(0));
  learn(crashed, 0, 1);
  crashed.take(entry, { kind: "notice", version: 2, digest: 22 });
  crashed.take(entry, { kind: "settle", from: entry.register.known });
  expect(entry.register).toMatchObject({ heldVersion: 3, known: { version: 3 } });
  crashed.take(entry, { kind: "notice", version: 9, digest: 99 });
  // The engine has it, and the log has not gone yet.
  await crashed.commitAll();
  const state = await open(engine);
  const { register } = state.entry(key(0));
  expect(register).toMatchObject({ heldVersion: 3, known: { version: 9, digest: 99 } });
  await state.close();
  await crashed.close();
});

/** Its later commits wait until they are let go. */
class HeldEngine extends MemoryEngine {
  readonly held = Promise.withResolvers<void>();
  commits = 0;

  override async commit(entries: readonly EngineEntry[]): Promise<void> {
    this.commits += 1;
    if (this.commits > CHUNKS_AT_ONCE) await this.held.promise;
    await super.commit(entries);
  }
}

test("state: a listing while a checkpoint runs passes over what it has written and memory has given up", async () => {
  const keys = 2 * CHUNKS_AT_ONCE * CHECKPOINT_CHUNK;
  const engine = new HeldEngine();
  const state = await open(engine, 0);
  for (let i = 0; i < keys; i++) {
    learn(state, i, 1);
    if (i % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const written = state.checkpoint();
  await expect.poll(() => engine.commits).toBeGreaterThan(CHUNKS_AT_ONCE);
  // They get numbers of keys that have left.
  for (let i = 0; i < 100; i++) learn(state, keys + i, 1);
  const { versions } = listAll(state, 500);
  expect(versions.size).toBe(keys + 100);
  engine.held.resolve();
  await written;
  await state.close();
}, 30_000);

test("state: what a checkpoint is writing counts in what may wait before writes are refused", async () => {
  const checkpointBytes = 1 << 16;
  const engine = new HeldEngine();
  engine.commits = CHUNKS_AT_ONCE;
  const state = await open(engine, 1 << 30, 60_000, { checkpointBytes });
  const dirtyShare = () => state.memory.dirtyBytes / checkpointBytes;
  let i = 0;
  while (dirtyShare() < 6) learn(state, i++, 1); // in one turn: the checkpoint takes all of it
  await expect.poll(() => engine.commits).toBeGreaterThan(CHUNKS_AT_ONCE);
  expect(dirtyShare()).toBe(0);
  while (state.refusing === undefined && dirtyShare() < 8) learn(state, i++, 1);
  expect(dirtyShare()).toBeLessThan(3);
  engine.held.resolve();
  await expect.poll(() => state.refusing).toBeUndefined();
  await state.close();
});

/** Remembers how large its commits were. */
class MeasuringEngine extends MemoryEngine {
  readonly sizes: number[] = [];

  override commit(entries: readonly EngineEntry[]): Promise<void> {
    this.sizes.push(entries.reduce((sum, { register }) => sum + (register?.length ?? 0), 0));
    return super.commit(entries);
  }
}

test("state: a checkpoint of large values is written in commits of bounded size", async () => {
  const engine = new MeasuringEngine();
  const state = await open(engine);
  const value = Buffer.alloc(60_000, 7);
  for (let i = 0; i < 100; i++) {
    const body = { deleted: false, value, operations: undefined };
    const owner = { replica: 0, incarnation: 1 };
    const decision = sealDecision(1, owner, { case: "key", value: body });
    state.take(state.entry(key(i)), { kind: "learn", decision });
  }
  await state.close();
  expect(engine.sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(100 * 60_000);
  expect(Math.max(...engine.sizes)).toBeLessThan(600 * 1024);
});

test("state: who only looks drives nothing out of memory, and sees what is newest", async () => {
  const engine = new MemoryEngine();
  const before = await open(engine);
  for (let i = 0; i < 2_000; i++) learn(before, i, 1);
  await before.close();
  const state = await open(engine, 1024 * 1024);
  const used = state.entry(key(0));
  learn(state, 1, 2);
  for (let i = 0; i < 2_000; i++)
    expect(state.peek(key(i)).register.heldVersion).toBe(i === 1 ? 2 : 1);
  expect(state.entry(key(0))).toBe(used);
  await state.close();
});

test("state: rows that take the places of waiting ones bring a checkpoint no nearer than their log does", async () => {
  const state = await open(new MemoryEngine());
  const grown = (version: number, before: Decision | undefined) => {
    const row = { row: Buffer.from("row"), value: Buffer.from("v"), deleted: false };
    const baseDigest = before?.digest ?? 0;
    const value = { rows: [row], lastNumber: 0, operations: undefined, trims: [], baseDigest };
    const owner = { replica: 0, incarnation: 1 };
    const decision = sealDecision(version, owner, { case: "table", value });
    const bytes = state.memory.dirtyBytes;
    state.take(state.entry(key(0)), { kind: "learn", decision });
    return { decision, bytes: state.memory.dirtyBytes - bytes };
  };
  let last = grown(1, undefined);
  const first = last.bytes;
  for (let version = 2; version <= 20; version++) {
    last = grown(version, last.decision);
    expect(last.bytes).toBeLessThan(first / 3);
  }
  await state.close();
});

test("state: the first checkpoint begins at its share of dirty memory, later ones at the whole", async () => {
  const given = { checkpointBytes: 1 << 16, firstShare: 1 / 3 };
  const state = await open(new MemoryEngine(), 1 << 30, 60_000, given);
  let i = 0;
  const fillTo = (share: number) => {
    while (state.memory.dirtyBytes < share * given.checkpointBytes) learn(state, i++, 1);
  };
  const dirtyShare = () => state.memory.dirtyBytes / given.checkpointBytes;
  for (const due of [1 / 3, 1, 1]) {
    fillTo(due - 0.05);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(dirtyShare()).toBeGreaterThan(due - 0.1);
    fillTo(due + 0.05);
    await expect.poll(dirtyShare).toBe(0);
  }
  await state.close();
});

/** Commits take their time, and fail once it is closed. */
class SlowEngine extends MemoryEngine {
  isClosed = false;
  commits = 0;

  override async commit(entries: readonly EngineEntry[]): Promise<void> {
    if (this.isClosed) throw new Error("the engine is closed");
    this.commits += 1;
    await super.commit(entries);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }

  override close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

test("state: a stop while the next checkpoint is due already loses nothing", async () => {
  const engine = new SlowEngine();
  const state = await open(engine, 1 << 30, 60_000, { checkpointBytes: 1 << 18 });
  // More than what a checkpoint waits for at once, so that it is not over with its first commits.
  const many = (CHUNKS_AT_ONCE + 2) * CHECKPOINT_CHUNK;
  for (let i = 0; i < many; i++) learn(state, i, 1);
  await expect.poll(() => engine.commits, { interval: 5 }).toBeGreaterThan(0);
  for (let i = many; i < 2 * many; i++) learn(state, i, 1);
  await state.durable(state.logged);
  await state.close();
  engine.isClosed = false;
  const again = await open(engine);
  expect(listAll(again, 1_000).versions.size).toBe(2 * many);
  await again.close();
});
