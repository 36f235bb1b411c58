/** S5: floors as spans do what an array of slots does. */
import { expect, test } from "vitest";
import { Random } from "../../../svrkit/seeded-random.ts";
import { type FloorSpan, floorsWithin, highest, withFloor, withoutFloors } from "./floors.ts";

const SLOTS = 32;
const KEYSPACES = [1, 2];

type Slots = { version: number; forgottenMs: number }[][];

function slotsOf(floors: readonly FloorSpan[]): Slots {
  const slots = nothing();
  for (const { keyspace, first, last, version, forgottenMs } of floors)
    for (let slot = first; slot <= last; slot++) slots[keyspace]![slot] = { version, forgottenMs };
  return slots;
}

function nothing(): Slots {
  return [0, ...KEYSPACES].map(() =>
    Array.from({ length: SLOTS }, () => ({ version: 0, forgottenMs: 0 })),
  );
}

function randomSpan(random: Random) {
  const [a, b] = [random.index(SLOTS), random.index(SLOTS)];
  return { keyspace: random.pick(KEYSPACES), first: Math.min(a, b), last: Math.max(a, b) };
}

test("floors: rise, are taken apart and put together like slots one by one (random)", () => {
  const random = new Random(1, "floors");
  let floors: FloorSpan[] = [];
  let model = nothing();
  for (let round = 0; round < 500; round++) {
    const span = randomSpan(random);
    if (random.chance(0.2)) {
      floors = withoutFloors(floors, [span]);
      for (let s = span.first; s <= span.last; s++)
        model[span.keyspace]![s] = { version: 0, forgottenMs: 0 };
    } else {
      const floor = { version: 1 + random.index(9), forgottenMs: random.index(5) };
      floors = withFloor(floors, span, floor);
      for (let s = span.first; s <= span.last; s++) {
        const own = model[span.keyspace]![s]!;
        model[span.keyspace]![s] = {
          version: Math.max(own.version, floor.version),
          forgottenMs: Math.max(own.forgottenMs, floor.forgottenMs),
        };
      }
    }
    expect(slotsOf(floors)).toEqual(model);
    expect(slotsOf(highest(floors))).toEqual(model);
    expect(highest(floors)).toEqual(floors);
    const asked = randomSpan(random);
    const inside = floorsWithin(floors, [asked]);
    const others = withoutFloors(floors, [asked]);
    expect(slotsOf([...inside, ...others])).toEqual(model);
    expect(highest(inside, floors)).toEqual(floors);
    expect(highest(others, inside)).toEqual(floors);
    if (round % 50 === 49) [floors, model] = [[], nothing()];
  }
});

test("floors: neighbours at the same floor are one span", () => {
  const floor = { version: 7, forgottenMs: 1 };
  const one = withFloor([], { keyspace: 1, first: 0, last: 3 }, floor);
  expect(withFloor(one, { keyspace: 1, first: 4, last: 9 }, floor)).toEqual([
    { keyspace: 1, first: 0, last: 9, ...floor },
  ]);
});
