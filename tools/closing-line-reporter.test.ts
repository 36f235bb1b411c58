import { expect, test } from "vitest";
import { type CountedModule, countRun, failedLines } from "./closing-line-reporter.ts";

type State = "passed" | "failed" | "skipped" | "pending";

function moduleOf(states: State[], ok = !states.includes("failed")): CountedModule {
  const tests = states.map((state, index) => ({
    fullName: `test ${index + 1}`,
    result: () => ({ state, errors: [{ message: "expected 1\n  to be 2" }] }) as never,
  }));
  return { children: { allTests: () => tests }, moduleId: "/project/a.test.ts", ok: () => ok };
}

test("closing line: tests are counted by their result over all modules", () => {
  const modules = [moduleOf(["passed", "passed", "skipped"]), moduleOf(["passed", "failed"])];
  expect(countRun(modules, 0)).toEqual({ passed: 3, failed: 1, skipped: 1 });
});

test("closing line: a file that does not load counts as one failure", () => {
  const modules = [moduleOf([], false), moduleOf(["passed"])];
  expect(countRun(modules, 0)).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test("closing line: a failing hook around passing tests counts as one failure", () => {
  expect(countRun([moduleOf(["passed"], false)], 0)).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test("closing line: an unhandled error counts as a failure", () => {
  expect(countRun([moduleOf(["passed"])], 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test("closing line: a test cut short counts as a failure", () => {
  expect(countRun([moduleOf(["passed", "pending"])], 0).failed).toBe(1);
});

test("closing line: a run in which no test ran counts as a failure", () => {
  expect(countRun([], 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(countRun([moduleOf(["skipped"])], 0)).toEqual({ passed: 0, failed: 1, skipped: 1 });
});

test("closing line: failed tests and failed files are named before it", () => {
  const modules = [moduleOf(["passed", "failed"]), moduleOf(["passed"], false), moduleOf([])];
  expect(failedLines(modules, "/project")).toEqual([
    "failed: a.test.ts > test 2: expected 1",
    "failed: a.test.ts",
  ]);
});
