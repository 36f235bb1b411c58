import { expect, test } from "vitest";
import { seeded } from "../testing/random.ts";
import { Backlog } from "./backlog.ts";

const entry = (id: string, isVoid = false) => {
  return { id: Buffer.from(id), payload: Buffer.from(`payload ${id}`), isVoid };
};
const LIMIT = { entries: 100, bytes: 10_000 };
const seen = (backlog: Backlog, after = 0) =>
  backlog.above(after, LIMIT).map((e) => `${e.slot}${e.isVoid ? "-" : Buffer.from(e.id)}`);

test("backlog: entries are numbered from where the consumer stands", () => {
  const backlog = new Backlog(7, { consumedIdsMax: 10 });
  expect([backlog.push(entry("a")), backlog.push(entry("b")), backlog.push(entry("c"))]).toEqual([
    8, 9, 10,
  ]);
  expect(seen(backlog)).toEqual(["8a", "9b", "10c"]);
  expect(seen(backlog, 9)).toEqual(["10c"]);
  expect(backlog.consume(9)).toBe(2);
  expect(seen(backlog)).toEqual(["10c"]);
  expect(backlog.consume(9)).toBe(0);
  expect(backlog.consume(99)).toBe(1);
  expect(backlog.bytes).toBe(0);
});

test("backlog: an id is known while its entry is here, and a while longer", () => {
  const backlog = new Backlog(0, { consumedIdsMax: 2 });
  for (const id of ["a", "b", "c", "d"]) backlog.push(entry(id));
  expect(backlog.slotOf(Buffer.from("b"))).toBe(2);
  backlog.consume(3);
  expect(["a", "b", "c", "d", "e"].map((id) => backlog.slotOf(Buffer.from(id)))).toEqual([
    undefined,
    2,
    3,
    4,
    undefined,
  ]);
});

test("backlog: without numbers nothing is given; the older part brings them and comes first", () => {
  const backlog = new Backlog(undefined, { consumedIdsMax: 10 });
  expect(backlog.push(entry("c"))).toBe(0);
  expect(backlog.push(entry("b"))).toBe(0);
  expect([seen(backlog), backlog.consume(5), backlog.slotOf(Buffer.from("c"))]).toEqual([[], 0, 0]);
  backlog.prepend([entry("a"), entry("b")], 4);
  expect(seen(backlog)).toEqual(["5a", "6b", "7c", "8-"]);
  expect(backlog.slotOf(Buffer.from("b"))).toBe(6);
  expect(backlog.push(entry("a"))).toBe(5);
  expect(seen(backlog, 8)).toEqual(["9-"]);
  expect(() => backlog.prepend([], 0)).toThrow("stay in place");
});

test("backlog: an answer is bounded, but never empty when there is something", () => {
  const backlog = new Backlog(0, { consumedIdsMax: 10 });
  for (const id of ["a", "b", "c"]) backlog.push(entry(id));
  expect(backlog.above(0, { entries: 2, bytes: 1_000 })).toHaveLength(2);
  expect(backlog.above(0, { entries: 9, bytes: 1 })).toHaveLength(1);
});

test("backlog: as an obvious list of numbered entries (random)", () => {
  const random = seeded(7);
  const backlog = new Backlog(0, { consumedIdsMax: 50 });
  let list: { slot: number; id: string }[] = [];
  let next = 1;
  for (let step = 0; step < 20_000; step++) {
    if (random() < 0.6) {
      expect(backlog.push(entry(`${next}`))).toBe(next);
      list.push({ slot: next, id: `${next}` });
      next += 1;
    } else {
      const through = Math.floor(random() * (next + 2));
      backlog.consume(through);
      list = list.filter(({ slot }) => slot > through);
    }
    const after = Math.floor(random() * next);
    const expected = list.filter(({ slot }) => slot > after).slice(0, 100);
    if (step % 10 === 0) {
      expect(seen(backlog, after)).toEqual(expected.map(({ slot, id }) => `${slot}${id}`));
      expect(backlog.length).toBe(list.length);
    }
  }
});
