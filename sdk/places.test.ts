import { expect, test } from "vitest";
import { Places } from "./places.ts";

/** Takes all that it may. */
function fill(places: Places, who: string): number {
  while (places.hasOneFor(who)) places.take(who);
  return places.takenBy(who);
}

test("places: whoever comes later gets fewer, but one while one is free", () => {
  const places = new Places(48, 12);
  const got = Array.from({ length: 12 }, (_, i) => fill(places, `${i}`));
  expect(got).toEqual([16, 11, 7, 5, 3, 2, 2, 1, 1, 0, 0, 0]);
  expect(places.areFull).toBe(true);
});

test("places: one that is given back is for who has none, however long others wait", () => {
  const places = new Places(48, 12);
  for (let i = 0; i < 12; i++) fill(places, `${i}`);
  places.giveBack("0");
  expect(places.hasOneFor("0")).toBe(false);
  expect(places.hasOneFor("8")).toBe(false);
  expect(places.hasOneFor("11")).toBe(true);
});

test("places: taken beyond the last, by who had them before, they are free again when as many are given back", () => {
  const places = new Places(2, 1);
  for (let i = 0; i < 3; i++) places.take("before");
  expect([places.areFull, places.hasOneFor("new")]).toEqual([true, false]);
  places.giveBack("before");
  places.giveBack("before");
  expect([places.areFull, places.hasOneFor("new")]).toEqual([false, true]);
});

test("places: whoever is silent owes what it has beyond the share of all who are, and the others get it", () => {
  const places = new Places(48, 12);
  const silent = Array.from({ length: 9 }, (_, i) => `${i}`);
  for (const who of silent) fill(places, who);
  expect([places.areFull, places.hasOneFor("new")]).toEqual([true, false]);
  for (const who of silent) {
    places.silence(who);
    while (places.owesOne(who)) places.giveBack(who);
  }
  const kept = () => silent.map((who) => places.takenBy(who));
  expect(kept().reduce((sum, taken) => sum + taken)).toBeLessThanOrEqual(12);
  for (const who of silent) expect(fill(places, who)).toBeLessThan(12);
  expect(kept().reduce((sum, taken) => sum + taken)).toBe(12);
  expect(fill(places, "new")).toBe(12);
  expect(fill(places, "newer")).toBeGreaterThan(0);
});

test("places: who is silent and has none gets one in turn, and who is heard is one of the others again", () => {
  const places = new Places(8, 2);
  for (const who of ["a", "b", "c"]) places.silence(who);
  for (const who of ["a", "b"]) places.take(who);
  expect(["a", "b", "c"].map((who) => places.hasOneFor(who))).toEqual([false, false, false]);
  expect(places.owesOne("a")).toBe(true);
  places.giveBack("a");
  places.silence("a");
  expect([...places.silent]).toEqual(["b", "c", "a"]);
  places.take("c");
  places.heard("c");
  expect([places.owesOne("c"), places.hasOneFor("c"), places.hasOneFor("a")]).toEqual([
    ...[false, true, true],
  ]);
});
