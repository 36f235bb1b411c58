import { expect, test } from "vitest";
import { EndpointChooser } from "./endpoints.ts";

test("endpoints: after a loss another campus is tried at once, the others evenly", () => {
  const chosen = [0, 0, 0];
  for (let i = 0; i < 1000; i++) {
    const chooser = new EndpointChooser(3);
    expect(chooser.failed(10_000, 60_000, () => i / 1000)).toBe(0);
    chosen[chooser.current]! += 1;
  }
  expect(chosen).toEqual([0, 500, 500]);
});

test("endpoints: the lost campus comes last, and pauses grow to 2 s", () => {
  const chooser = new EndpointChooser(3);
  const order = [chooser.current];
  const pauses: number[] = [];
  for (let i = 0; i < 10; i++) {
    pauses.push(chooser.failed(10_000 + i, 0, () => 0));
    order.push(chooser.current);
  }
  expect(order.slice(0, 3)).toEqual([0, 1, 2]);
  expect(pauses).toEqual([0, 25, 50, 100, 200, 400, 800, 1000, 1000, 1000]);
});

test("endpoints: a campus that takes connections and drops them is not tried without pause", () => {
  const chooser = new EndpointChooser(1);
  expect(chooser.failed(0, 2_000, () => 1)).toBe(0);
  expect(chooser.failed(10, 5, () => 1)).toBe(50);
  expect(chooser.failed(5_000, 2_000, () => 1)).toBe(0);
});
