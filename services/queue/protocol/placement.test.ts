import { expect, test } from "vitest";
import { adoptingCampus, campusOrder, firstGroup, otherGroup, writingCampus } from "./placement.ts";

const names = Array.from({ length: 3_000 }, (_, i) => `g${i}`);

test("placement: streams spread evenly over campuses and groups, and over the survivors of a campus", () => {
  const places = new Map<string, number>();
  for (const name of names) {
    const [first, second] = campusOrder(name);
    for (const key of [`first ${first}`, `${first} then ${second}`, `group ${firstGroup(name)}`]) {
      places.set(key, (places.get(key) ?? 0) + 1);
    }
  }
  for (const campus of [0, 1, 2]) expect(places.get(`first ${campus}`)).toBeGreaterThan(900);
  for (const survivor of [1, 2]) expect(places.get(`0 then ${survivor}`)).toBeGreaterThan(430);
  for (const group of [1, 2]) expect(places.get(`group ${group}`)).toBeGreaterThan(1_400);
});

test("placement: every campus that sees the same names the same writer", () => {
  for (const name of names.slice(0, 100)) {
    const all = [0, 1, 2].map((own) => writingCampus(name, { own, usable: [true, true, true] }));
    expect(new Set(all).size).toBe(1);
    const lost = all[0]!;
    const usable = [0, 1, 2].map((campus) => campus !== lost);
    const others = [0, 1, 2].filter((own) => own !== lost);
    const next = others.map((own) => writingCampus(name, { own, usable }));
    expect(next).toEqual([campusOrder(name)[1], campusOrder(name)[1]]);
  }
});

test("placement: a campus cut off from both others writes itself", () => {
  expect(writingCampus("s", { own: 2, usable: [false, false, false] })).toBe(2);
});

test.each([
  [1, [true, true, true], 1],
  [1, [true, false, true], undefined],
  [-1, [true, true, true], undefined],
  [0, [false, true, true], 0],
])("placement: last written in %s, usable %s: asked is %s", (last, usable, expected) => {
  const campuses = { own: 0, usable };
  expect(adoptingCampus("s", last, campuses)).toBe(expected ?? writingCampus("s", campuses));
});

test("placement: there are two groups", () => {
  expect([otherGroup(1), otherGroup(2)]).toEqual([2, 1]);
});
