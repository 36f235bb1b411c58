import { expect, test } from "vitest";
import { EndpointChooser } from "./endpoints.ts";

const waiting = { nowMs: 10_000, stoodMs: 60_000, isIdle: false };

test("endpoints: after a loss another campus is tried at once, the others evenly", () => {
  const chosen = [0, 0, 0];
  for (let i = 0; i < 1000; i++) {
    const chooser = new EndpointChooser(3);
    expect(chooser.failed(waiting, () => i / 1000)).toBe(0);
    chosen[chooser.current]! += 1;
  }
  expect(chosen).toEqual([0, 500, 500]);
});

test("endpoints: 800 idle clients of a lost campus come back over 2 s, evenly over the others", () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const quarters = { 1: [0, 0, 0, 0], 2: [0, 0, 0, 0] };
  for (let i = 0; i < 800; i++) {
    const chooser = new EndpointChooser(3);
    const pauseMs = chooser.failed({ ...waiting, isIdle: true }, random);
    expect(pauseMs).toBeLessThan(2_000);
    quarters[chooser.current as 1 | 2][Math.floor(pauseMs / 500)]! += 1;
  }
  for (const count of [...quarters[1], ...quarters[2]]) {
    expect(count).toBeGreaterThan(70);
    expect(count).toBeLessThan(130);
  }
});

test("endpoints: the lost campus comes last, and pauses grow to 2 s", () => {
  const chooser = new EndpointChooser(3);
  const order = [chooser.current];
  const pauses: number[] = [];
  for (let i = 0; i < 10; i++) {
    pauses.push(chooser.failed({ nowMs: 10_000 + i, stoodMs: 0, isIdle: false }, () => 0));
    order.push(chooser.current);
  }
  expect(order.slice(0, 3)).toEqual([0, 1, 2]);
  expect(pauses).toEqual([0, 25, 50, 100, 200, 400, 800, 1000, 1000, 1000]);
});

test("endpoints: a campus that takes connections and drops them is not tried without pause", () => {
  const chooser = new EndpointChooser(1);
  const lost = (nowMs: number, stoodMs: number) =>
    chooser.failed({ nowMs, stoodMs, isIdle: false }, () => 1);
  expect(lost(0, 2_000)).toBe(0);
  expect(lost(10, 5)).toBe(50);
  expect(lost(5_000, 2_000)).toBe(0);
});
