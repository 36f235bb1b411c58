import { expect, test } from "vitest";
import { type Key, Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { sealDecision } from "../protocol/decision.ts";
import { EMPTY_REGISTER, type Register, step } from "../protocol/register.ts";
import type { Entry } from "./entry.ts";
import { Shelf } from "./shelf.ts";
import { decodeRegister, encodeRegister } from "./stored-register.ts";

const VALUE_BYTES = 1_000;

const keyOf = (i: number): Key => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${i}`) });

function registerOf(version: number, fill = 0): Register {
  const body = { deleted: false, value: Buffer.alloc(VALUE_BYTES, fill), operations: undefined };
  const owner = { replica: 0, incarnation: 1 };
  const decision = sealDecision(version, owner, { case: "key", value: body });
  return step(EMPTY_REGISTER, { kind: "learn", decision }).register;
}

function add(shelf: Shelf, i: number): Entry {
  const register = registerOf(1, i & 0xff);
  return shelf.add(keyOf(i), {
    register,
    unswept: false,
    encoded: encodeRegister(register, false),
  });
}

function addMany(shelf: Shelf, from: number, count: number): void {
  for (let i = from; i < from + count; i++) {
    add(shelf, i);
    if (i % 256 === 0) shelf.cool();
  }
  settle(shelf);
}

/** Everything that nobody uses is packed. */
function settle(shelf: Shelf): void {
  for (let i = 0; i < 3; i++) shelf.cool();
}

function count(shelf: Shelf, from: number, to: number): number {
  let there = 0;
  for (let i = from; i < to; i++) if (shelf.get(keyOf(i)) !== undefined) there += 1;
  return there;
}

test("shelf: what is packed comes back as it was", () => {
  const shelf = new Shelf(1 << 30);
  const entry = add(shelf, 7);
  entry.register = registerOf(5, 9);
  entry.logged = 12;
  entry.unloggedVersion = 5;
  entry.unloggedDigest = 2 ** 52 + 1;
  entry.unswept = true;
  const before = encodeRegister(entry.register, false);
  settle(shelf);
  const again = shelf.get(keyOf(7))!;
  expect(entry.isOver).toBe(true);
  expect(again).not.toBe(entry);
  expect(encodeRegister(again.register, false)).toEqual(before);
  expect(again.key.key).toEqual(keyOf(7).key);
  expect(again).toMatchObject({
    logged: 12,
    unloggedVersion: 5,
    unloggedDigest: 2 ** 52 + 1,
    unswept: true,
  });
});

test("shelf: a packed key that is looked at stays packed, and shows what it holds", () => {
  const shelf = new Shelf(1 << 30);
  const entry = add(shelf, 7);
  entry.register = registerOf(3, 7);
  expect(shelf.peek(keyOf(7))).toBe(entry);
  settle(shelf);
  const looked = shelf.peek(keyOf(7))!;
  expect(encodeRegister(looked.register, false)).toEqual(encodeRegister(entry.register, false));
  expect(looked.registerKey).toEqual(entry.registerKey);
  expect(shelf.peek(keyOf(7))).not.toBe(looked);
  expect(shelf.peek(keyOf(8))).toBeUndefined();
  // Its view is of bytes of its own: what comes after in the key's block does not show in it.
  const before = encodeRegister(looked.register, false);
  shelf.get(keyOf(7))!.register = registerOf(4, 9);
  settle(shelf);
  expect(encodeRegister(looked.register, false)).toEqual(before);
});

test("shelf: an entry that is pinned, or has writes waiting, stays the same object", () => {
  const shelf = new Shelf(1 << 30);
  const pinned = add(shelf, 1);
  pinned.pins = 1;
  const queued = add(shelf, 2);
  queued.queue = { entry: queued, waiting: [], onSettled: [] };
  settle(shelf);
  settle(shelf);
  expect(shelf.get(keyOf(1))).toBe(pinned);
  expect(shelf.get(keyOf(2))).toBe(queued);
  pinned.pins = 0;
  settle(shelf);
  expect(shelf.get(keyOf(1))).not.toBe(pinned);
});

test("shelf: what the engine is to get is the key as it is now, packed or not", () => {
  const shelf = new Shelf(1 << 30);
  const entry = add(shelf, 1);
  entry.register = registerOf(2, 1);
  expect(decodeRegister(shelf.stored(entry.id).encoded).register.known.version).toBe(2);
  entry.register = registerOf(3, 2);
  settle(shelf);
  const { encoded, registerKey } = shelf.stored(entry.id);
  expect(decodeRegister(encoded)).toMatchObject({
    unswept: false,
    register: { known: { version: 3 } },
  });
  expect(registerKey).toEqual(entry.registerKey);
  shelf.get(keyOf(1))!.unswept = true;
  settle(shelf);
  expect(decodeRegister(shelf.stored(entry.id).encoded).unswept).toBe(true);
});

test("shelf: clean keys stay within their bytes, the least recently used leave", () => {
  const shelf = new Shelf(2_000 * VALUE_BYTES);
  addMany(shelf, 0, 400);
  const isUsed = (i: number) => i % 4 === 0;
  for (let i = 0; i < 400; i++) if (isUsed(i)) shelf.get(keyOf(i));
  settle(shelf);
  addMany(shelf, 1_000, 1_500);
  const there = Array.from({ length: 400 }, (_, i) => i).filter((i) => count(shelf, i, i + 1) > 0);
  expect(there.filter(isUsed).length).toBeGreaterThan(95);
  expect(there.length).toBeLessThan(150);
  settle(shelf);
  addMany(shelf, 10_000, 5_000);
  expect(shelf.cleanBytes).toBeLessThanOrEqual(2_000 * VALUE_BYTES);
  expect(shelf.cleanBytes).toBeGreaterThan(1_800 * VALUE_BYTES);
  expect(count(shelf, 0, 2_500)).toBe(0);
  expect(count(shelf, 14_900, 15_000)).toBe(100);
});

test("shelf: newer and pinned keys stay, whatever comes, until the engine has them", () => {
  const shelf = new Shelf(10 * VALUE_BYTES);
  const newer = Array.from({ length: 5 }, (_, i) => add(shelf, i));
  for (const entry of newer) expect(shelf.becomeDirty(entry.id)).toBe(true);
  expect(shelf.becomeDirty(newer[0]!.id)).toBe(false);
  const pinned = add(shelf, 10);
  pinned.pins = 1;
  addMany(shelf, 100, 500);
  expect(count(shelf, 0, 5)).toBe(5);
  expect(shelf.get(keyOf(10))).toBe(pinned);
  expect(shelf.cleanBytes).toBeLessThanOrEqual(10 * VALUE_BYTES);
  const [first, second] = newer;
  for (const { id } of [first!, second!]) shelf.becomeLeaving(id);
  // Changed while it was being written.
  expect(shelf.becomeDirty(second!.id)).toBe(true);
  for (const { id } of [first!, second!]) shelf.becomeClean(id);
  settle(shelf);
  addMany(shelf, 1_000, 500);
  expect([0, 1, 2, 3, 4].map((i) => count(shelf, i, i + 1))).toEqual([0, 1, 1, 1, 1]);
});

test("shelf: keys of slots that moved leave together, and not while one of them is in use", () => {
  const shelf = new Shelf(1 << 30);
  addMany(shelf, 0, 100);
  const isGone = (registerKey: Buffer) => registerKey.toString("latin1").endsWith("7");
  const busy = shelf.get(keyOf(17))!;
  busy.pins = 1;
  expect(shelf.drop(isGone)).toBe(false);
  expect(count(shelf, 0, 100)).toBe(100);
  busy.pins = 0;
  expect(shelf.drop(isGone)).toBe(true);
  expect(count(shelf, 0, 100)).toBe(90);
  expect(shelf.size).toBe(90);
  addMany(shelf, 200, 10);
  expect(count(shelf, 0, 210)).toBe(100);
});
