import { expect, test } from "vitest";
import { EndpointChooser } from "./endpoints.ts";

const campuses = (...names: string[]) =>
  names.map((campus) => ({ campus, url: `https://${campus}.example` }));
const three = () => new EndpointChooser(campuses("a", "b", "c"));

const waiting = { nowMs: 10_000, stoodMs: 60_000, isIdle: false };

test("endpoints: after a loss another campus is tried at once, the others evenly", () => {
  const chosen = { a: 0, b: 0, c: 0 };
  for (let i = 0; i < 1000; i++) {
    const chooser = three();
    expect(chooser.failed(waiting, () => i / 1000)).toBe(0);
    chosen[chooser.current.campus as "a"] += 1;
  }
  expect(chosen).toEqual({ a: 0, b: 500, c: 500 });
});

test("endpoints: 800 idle clients of a lost campus come back over 2 s, evenly over the others", () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const quarters = { b: [0, 0, 0, 0], c: [0, 0, 0, 0] };
  for (let i = 0; i < 800; i++) {
    const chooser = three();
    const pauseMs = chooser.failed({ ...waiting, isIdle: true }, random);
    expect(pauseMs).toBeLessThan(2_000);
    quarters[chooser.current.campus as "b" | "c"][Math.floor(pauseMs / 500)]! += 1;
  }
  const ofB = quarters.b.reduce((sum, count) => sum + count, 0);
  expect(ofB / 800).toBeGreaterThan(0.45);
  expect(ofB / 800).toBeLessThan(0.55);
  for (const count of [...quarters.b, ...quarters.c]) {
    expect(count).toBeGreaterThan(70);
    expect(count).toBeLessThan(130);
  }
});

test("endpoints: the lost campus comes last, and pauses grow to 2 s", () => {
  const chooser = three();
  const order = [chooser.current.campus];
  const pauses: number[] = [];
  for (let i = 0; i < 10; i++) {
    pauses.push(chooser.failed({ nowMs: 10_000 + i, stoodMs: 0, isIdle: false }, () => 0));
    order.push(chooser.current.campus);
  }
  expect(order.slice(0, 3)).toEqual(["a", "b", "c"]);
  expect(pauses).toEqual([0, 25, 50, 100, 200, 400, 800, 1000, 1000, 1000]);
});

test("endpoints: a campus that takes connections and drops them is not tried without pause", () => {
  const chooser = new EndpointChooser(campuses("a"));
  const lost = (nowMs: number, stoodMs: number) =>
    chooser.failed({ nowMs, stoodMs, isIdle: false }, () => 1);
  expect(lost(0, 2_000)).toBe(0);
  expect(lost(10, 5)).toBe(50);
  expect(lost(5_000, 2_000)).toBe(0);
});

test("endpoints: others from now on; the one that stands is left when it fails, also for good", () => {
  const chooser = three();
  chooser.replace([]);
  chooser.replace(campuses("b", "d"));
  expect(chooser.current.campus).toBe("a");
  chooser.failed(waiting, () => 0.9);
  expect(chooser.current.campus).toBe("d");
  chooser.replace(campuses("d"));
  chooser.failed(waiting, () => 0.9);
  expect(chooser.current.campus).toBe("d");
});
