import { expect, test } from "vitest";
import { Random } from "../seeded-random.ts";
import { Unanswered } from "./unanswered.ts";

function entriesOf(unanswered: Unanswered<string>): [number, string][] {
  const found: [number, string][] = [];
  unanswered.visit((id, waiter) => found.push([id, waiter]));
  return found;
}

test("unanswered: any order of answers, as a map would have it (5,000 steps, up to 2,400 open)", () => {
  const random = new Random(1, "unanswered");
  const unanswered = new Unanswered<string>();
  const model = new Map<number, string>();
  const open: number[] = [];
  const answered: number[] = [];
  for (let step = 0; step < 5_000; step++) {
    const isFilling = step < 3_000;
    if (random.next() < (isFilling ? 0.9 : 0.1)) {
      const id = unanswered.nextId();
      expect(id).toBeGreaterThan(0);
      expect(model.has(id)).toBe(false);
      unanswered.add(id, `call ${step}`);
      model.set(id, `call ${step}`);
      open.push(id);
    } else if (model.size > 0) {
      const id = open.splice(random.index(open.length), 1)[0]!;
      expect(unanswered.take(id)).toBe(model.get(id));
      model.delete(id);
      answered.push(id);
    }
    if (answered.length > 0)
      expect(unanswered.take(random.pick(answered.slice(-50)))).toBe(undefined);
    expect(unanswered.size).toBe(model.size);
  }
  const byId = ([a]: [number, string], [b]: [number, string]) => a - b;
  expect(entriesOf(unanswered).sort(byId)).toEqual([...model].sort(byId));
  unanswered.visit((id) => unanswered.take(id));
  expect(entriesOf(unanswered)).toEqual([]);
});

test("unanswered: a call that stays open is passed over when ids come round to its place", () => {
  const unanswered = new Unanswered<string>();
  const slow = unanswered.nextId();
  unanswered.add(slow, "slow");
  for (let i = 0; i < 1_000; i++) {
    const id = unanswered.nextId();
    unanswered.add(id, "fast");
    expect(unanswered.take(id)).toBe("fast");
  }
  expect(entriesOf(unanswered)).toEqual([[slow, "slow"]]);
  // An answer that comes too late, to an id of the same place.
  expect(unanswered.take(slow + 64)).toBe(undefined);
  expect(unanswered.take(slow)).toBe("slow");
});
