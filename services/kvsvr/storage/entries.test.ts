import { expect, test } from "vitest";
import { Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { sealDecision } from "../protocol/decision.ts";
import { EMPTY_REGISTER, step } from "../protocol/register.ts";
import { Entries } from "./entries.ts";
import { nameOfKey, registerKey } from "./record.ts";
import type { Entry } from "./state.ts";

const VALUE_BYTES = 1_000;

function entryOf(i: number): Entry {
  const key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${i}`) };
  const body = { deleted: false, value: Buffer.alloc(VALUE_BYTES), operations: undefined };
  const decision = sealDecision(1, { replica: 0, incarnation: 1 }, { case: "key", value: body });
  const { register } = step(EMPTY_REGISTER, { kind: "learn", decision });
  return {
    key,
    name: nameOfKey(key),
    registerKey: registerKey(key),
    register,
    rows: undefined,
    logged: 0,
    unlogged: undefined,
    dirty: false,
    unswept: false,
    used: false,
    pins: 0,
    queue: undefined,
    bytes: 0,
  };
}

function addMany(entries: Entries, from: number, count: number): Entry[] {
  const added = Array.from({ length: count }, (_, i) => entryOf(from + i));
  for (const entry of added) entries.add(entry);
  return added;
}

const isThere = (entries: Entries) => (entry: Entry) => entries.get(entry.name) === entry;

test("entries: clean ones stay within their bytes, the least recently used leave", () => {
  const entries = new Entries(100 * VALUE_BYTES);
  const first = addMany(entries, 0, 40);
  first[3]!.used = true;
  const last = addMany(entries, 100, 1_000);
  expect(entries.cleanBytes).toBeLessThanOrEqual(100 * VALUE_BYTES);
  expect(entries.cleanBytes).toBeGreaterThan(90 * VALUE_BYTES);
  expect(first.filter(isThere(entries))).toEqual([]);
  expect(last.slice(-50).every(isThere(entries))).toBe(true);
});

test("entries: one that was used since stays when others of its time leave", () => {
  const entries = new Entries(50 * VALUE_BYTES);
  const first = addMany(entries, 0, 20);
  first[3]!.used = true;
  addMany(entries, 100, 29);
  expect(first.filter(isThere(entries))).toEqual([first[3]]);
});

test("entries: newer and pinned ones stay, whatever comes, and are nothing to search through", () => {
  const entries = new Entries(10 * VALUE_BYTES);
  const newer = addMany(entries, 0, 5);
  for (const entry of newer) {
    entry.dirty = true;
    entries.keep(entry);
  }
  const [pinned] = addMany(entries, 10, 1);
  pinned!.pins = 1;
  addMany(entries, 100, 500);
  expect([...newer, pinned!].every(isThere(entries))).toBe(true);
  expect(entries.cleanBytes).toBeLessThanOrEqual(10 * VALUE_BYTES);
  newer[0]!.dirty = false;
  for (const entry of newer) entries.release(entry);
  addMany(entries, 1_000, 500);
  expect(newer.map(isThere(entries))).toEqual([false, true, true, true, true]);
});

test("entries: with everything pinned one turn looks at a few only", () => {
  const entries = new Entries(VALUE_BYTES);
  let looks = 0;
  for (let i = 0; i < 1_000; i++) {
    const entry = entryOf(i);
    Object.defineProperty(entry, "pins", {
      get() {
        looks += 1;
        return 1;
      },
    });
    entries.add(entry);
  }
  const before = looks;
  addMany(entries, 2_000, 1);
  expect(looks - before).toBeLessThan(100);
});
