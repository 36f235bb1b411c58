import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { readMonitors } from "../../svrkit/monitors/monitor.ts";
import { DAMAGED_KEYS_MAX } from "../limits.ts";
import { sealDecision } from "../protocol/decision.ts";
import { DamagingEngine } from "../testing/damaging-engine.ts";
import { openTestState } from "../testing/test-state.ts";
import { DamagedKeys } from "./damaged-keys.ts";
import { RecordDamaged } from "./engine.ts";
import { registerKey } from "./record.ts";
import type { State } from "./state.ts";

const KEYS = 20;
const DAMAGED = 3;

let dir = "";
let opened: State[] = [];
let failures: string[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "tricampus-damaged-"));
  opened = [];
  failures = [];
});
afterEach(async () => {
  for (const state of opened) await state.close();
  rmSync(dir, { recursive: true, force: true });
  expect(failures).toEqual([]);
});

async function open(engine: DamagingEngine): Promise<State> {
  const state = await openTestState({
    engine,
    dir,
    fatal: (error) => failures.push(error.message),
  });
  opened.push(state);
  return state;
}

async function close(state: State): Promise<void> {
  opened = opened.filter((other) => other !== state);
  await state.close();
}

const key = (i: number) => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${i}`) });

function learned(version: number) {
  const body = { deleted: false, value: Buffer.from(`${version}`), operations: undefined };
  const owner = { replica: 0, incarnation: 1 };
  return {
    kind: "learn" as const,
    decision: sealDecision(version, owner, { case: "key", value: body }),
  };
}

function versionsIn(state: State): (number | undefined)[] {
  const versions: (number | undefined)[] = [];
  let after: Buffer | undefined;
  do {
    const page = state.list(after, 1_000);
    versions.push(...page.listed.map(({ register }) => register?.known.version));
    after = page.next;
  } while (after !== undefined);
  return versions;
}

const countOf = (name: string) => readMonitors().find((m) => m.name === name)?.value ?? 0;

/** Version 1 of every key in the engine, version 2 in the log alone; then one register is damaged. */
async function damageOne(engine: DamagingEngine): Promise<void> {
  const first = await open(engine);
  for (let i = 0; i < KEYS; i++) first.take(first.entry(key(i)), learned(1));
  await close(first);
  const crashed = await open(engine);
  for (let i = 0; i < KEYS; i++) crashed.take(crashed.entry(key(i)), learned(2));
  await crashed.durable(crashed.logged);
  engine.damage(key(DAMAGED));
}

test("S3: of a damaged key nothing is served or taken in, every other key is, and nothing ends", async () => {
  const engine = new DamagingEngine();
  await damageOne(engine);
  const state = await open(engine);
  expect(() => state.entry(key(DAMAGED))).toThrow(RecordDamaged);
  expect(() => state.peek(key(DAMAGED))).toThrow("ask another replica");
  expect(state.readable(key(DAMAGED))).toBeUndefined();
  for (let i = 0; i < KEYS; i++)
    if (i !== DAMAGED) expect(state.entry(key(i)).register.heldVersion).toBe(2);
  await expect.poll(() => state.unreplayed, { timeout: 5_000 }).toBe(0);
  expect(versionsIn(state).sort()).toEqual([...Array(KEYS - 1).fill(2), undefined]);
  expect(state.damaged.keys).toEqual([key(DAMAGED)]);
  expect(countOf("kvsvr.damaged_keys")).toBe(1);
});

test("S3: a start that only lists finds what is damaged", async () => {
  const engine = new DamagingEngine();
  await damageOne(engine);
  const state = await open(engine);
  expect(versionsIn(state)).toContain(undefined);
  expect(state.damaged.keys).toEqual([key(DAMAGED)]);
});

test("S3: a renewed key is what was copied, and proposed for after the next start alone", async () => {
  const engine = new DamagingEngine();
  await damageOne(engine);
  const state = await open(engine);
  expect(state.readable(key(DAMAGED))).toBeUndefined();
  await state.renew(key(DAMAGED), [learned(4), learned(5)]);
  const entry = state.entry(key(DAMAGED));
  expect(entry.register.heldVersion).toBe(5);
  expect(state.damaged.isEmpty).toBe(true);
  expect(countOf("kvsvr.damaged_keys")).toBe(0);
  expect(state.damaged.isRenewed(entry.registerKey)).toBe(true);
  state.take(entry, learned(6));
  expect(versionsIn(state)).toContain(6);
  await state.checkpoint();
  await close(state);
  const again = await open(engine);
  const mended = again.entry(key(DAMAGED));
  expect(mended.register.heldVersion).toBe(6);
  expect(again.damaged.isRenewed(mended.registerKey)).toBe(false);
});

test("S3: a crash before the record is overwritten leaves the key damaged, not half renewed", async () => {
  const engine = new DamagingEngine();
  await damageOne(engine);
  const state = await open(engine);
  expect(state.readable(key(DAMAGED))).toBeUndefined();
  await state.renew(key(DAMAGED), [learned(5)]);
  const again = await open(engine);
  expect(again.readable(key(DAMAGED))).toBeUndefined();
  expect(again.readable(key(0))?.register.heldVersion).toBe(2);
});

test("damage: what memory still has of a damaged record is written over it", async () => {
  const engine = new DamagingEngine();
  const state = await open(engine);
  state.take(state.entry(key(1)), learned(1));
  await state.checkpoint();
  engine.damage(key(1));
  expect(versionsIn(state)).toEqual([1]);
  await close(state);
  const again = await open(engine);
  expect(again.entry(key(1)).register.heldVersion).toBe(1);
});

test("damage: of keys that find no room to be noted it is told once, and reads of them are counted", () => {
  const damaged = new DamagedKeys();
  let found = 0;
  let full = 0;
  damaged.onFound = () => {
    found += 1;
  };
  damaged.onFull = () => {
    full += 1;
  };
  const read = (i: number) => () => {
    throw new RecordDamaged(registerKey(key(i)));
  };
  const before = countOf("kvsvr.damaged_unnoted");
  for (let i = 0; i < DAMAGED_KEYS_MAX; i++)
    expect(() => damaged.guard(read(i))).toThrow(RecordDamaged);
  expect(() => damaged.guard(read(0))).toThrow(RecordDamaged);
  expect([full, countOf("kvsvr.damaged_unnoted") - before]).toEqual([0, 0]);
  damaged.renew(registerKey(key(0)));
  for (const i of [DAMAGED_KEYS_MAX, DAMAGED_KEYS_MAX + 1])
    expect(() => damaged.guard(read(i))).toThrow(RecordDamaged);
  expect([found, full]).toEqual([DAMAGED_KEYS_MAX, 1]);
  expect(countOf("kvsvr.damaged_unnoted") - before).toBe(2);
});
