import { expect, test } from "vitest";
import { Places } from "./places.ts";

/** Takes all that it may. */
function fill(places: Places, who: string): number {
  while (places.hasOneFor(who)) places.take(who);
  return places.takenBy(who);
}

test("places: whoever comes later gets fewer, but one while one is free", () => {
  const places = new Places(48);
  const got = Array.from({ length: 12 }, (_, i) => fill(places, `${i}`));
  expect(got).toEqual([16, 11, 7, 5, 3, 2, 2, 1, 1, 0, 0, 0]);
  expect(places.areFull).toBe(true);
});

test("places: one that is given back is for who has none, however long others wait", () => {
  const places = new Places(48);
  for (let i = 0; i < 12; i++) fill(places, `${i}`);
  places.giveBack("0");
  expect(places.hasOneFor("0")).toBe(false);
  expect(places.hasOneFor("8")).toBe(false);
  expect(places.hasOneFor("11")).toBe(true);
});

test("places: taken beyond the last, by who had them before, they are free again when as many are given back", () => {
  const places = new Places(2);
  for (let i = 0; i < 3; i++) places.take("before");
  expect([places.areFull, places.hasOneFor("new")]).toEqual([true, false]);
  places.giveBack("before");
  places.giveBack("before");
  expect([places.areFull, places.hasOneFor("new")]).toEqual([false, true]);
});
