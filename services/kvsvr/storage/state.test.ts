import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { sealDecision } from "../protocol/decision.ts";
import { systemFiles } from "./files.ts";
import { MemoryEngine } from "./memory.ts";
import { State } from "./state.ts";

let dir = "";
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-state-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function open(engine: MemoryEngine, cacheBytes = 1 << 30): Promise<State> {
  return State.open({
    engine,
    files: systemFiles,
    dir,
    cacheBytes,
    checkpointMs: 60_000,
    log: silentLogger(),
    fatal: (error) => {
      throw error;
    },
  });
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
      versions.set(name, register.known.version);
    }
    pages.push(page.listed.length);
    cursor = page.listed.at(-1)?.entryKey;
    more = page.more;
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
