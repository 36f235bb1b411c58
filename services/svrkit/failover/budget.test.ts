import { expect, test } from "vitest";
import { RetryBudget } from "./budget.ts";

function spendAll(budget: RetryBudget, nowMs: number): number {
  let spent = 0;
  while (budget.spend(nowMs)) spent += 1;
  return spent;
}

test("retry budget: a tenth of the calls may be asked again, a few a second in any case", () => {
  const budget = new RetryBudget();
  expect(spendAll(budget, 0)).toBe(50);
  for (let i = 0; i < 1_001; i++) budget.earn();
  expect(spendAll(budget, 0)).toBe(100);
  expect(spendAll(budget, 50)).toBe(0);
  expect(spendAll(budget, 600)).toBe(6);
  expect(spendAll(budget, 3_600_000)).toBe(10);
});

test("retry budget: what is saved up is bounded", () => {
  const budget = new RetryBudget();
  for (let i = 0; i < 1_000_000; i++) budget.earn();
  expect(spendAll(budget, 0)).toBe(500);
});

test("retry budget: calls that waited for a service go on twice as many each time when it is back", () => {
  const budget = new RetryBudget();
  spendAll(budget, 0);
  let waiting = 1_000;
  const released: number[] = [];
  for (let nowMs = 100; waiting > 0; nowMs += 100) {
    let now = 0;
    while (now < waiting && budget.spend(nowMs)) now += 1;
    for (let i = 0; i < now; i++) budget.succeeded(true);
    waiting -= now;
    released.push(now);
  }
  expect(released.slice(0, 6)).toEqual([1, 1, 1, 3, 7, 15]);
  expect(released.length).toBeLessThan(14);
});

test("retry budget: while every second call is refused, waiting earns little", () => {
  const budget = new RetryBudget();
  spendAll(budget, 0);
  let spent = 0;
  for (let i = 0; i < 1_000; i++) {
    budget.earn();
    budget.failed();
    if (!budget.spend(i)) continue;
    spent += 1;
    budget.succeeded(true);
  }
  expect(spent).toBeLessThan(120);
});
