import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { SLOTS } from "../../svrkit/failover/shards.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { sealDecision } from "../protocol/decision.ts";
import { RecordDamaged } from "./engine.ts";
import { systemFiles } from "./files.ts";
import { MemoryEngine } from "./memory.ts";
import { registerKey } from "./record.ts";
import { State } from "./state.ts";

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
  const state = await State.open({
    engine: on,
    files: systemFiles,
    dir,
    cacheBytes: 1 << 30,
    checkpointBytes: 1 << 27,
    checkpointMs: 60_000,
    log: silentLogger(),
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
      versions.set(entryKey.toString("latin1"), register.heldVersion);
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

/** What is read of it first is damaged. */
class DamagedEngine extends MemoryEngine {
  isDamaged = true;

  override register(registerKey: Buffer): Buffer | undefined {
    if (!this.isDamaged) return super.register(registerKey);
    this.isDamaged = false;
    throw new RecordDamaged("a register is damaged");
  }
}

test("S1: what cannot be taken in ends the process, and no key is served without it", async () => {
  await crash(1);
  const state = await open(new DamagedEngine());
  expect(() => state.entry(key(0))).toThrow("damaged");
  expect(failures).toEqual(["a register is damaged"]);
  expect(() => state.entry(key(0))).toThrow("damaged");
  expect(() => state.list(undefined, 10)).toThrow("damaged");
  await expect(state.commitAll()).rejects.toThrow("damaged");
});
