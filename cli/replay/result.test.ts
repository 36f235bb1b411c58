import { expect, test } from "vitest";
import { describeResult, isClean, resultOf } from "./result.ts";

const counts = {
  messages: 400,
  deliveries: 6_000,
  missing: 0,
  duplicates: 0,
  outOfOrder: 0,
  altered: 0,
  foreign: 0,
  unreadWrong: 0,
};
const latency = { p50: 1, p99: 2, max: 3 };
const measures = {
  failedSends: 0,
  leftOut: 7,
  seconds: 2,
  sendAckMs: latency,
  deliveryMs: latency,
};

test("result: rates are over the time until everybody had everything", () => {
  const result = resultOf(counts, measures);
  expect(result.deliveriesPerSecond).toBe(3_000);
  expect(isClean(result)).toBe(true);
  expect(describeResult(result)).toContain("The ledger is clean.");
});

test.each(["missing", "duplicates", "outOfOrder", "altered", "foreign"] as const)(
  "result: one %s and it is not clean",
  (kind) => {
    const result = resultOf({ ...counts, [kind]: 1 }, measures);
    expect(isClean(result)).toBe(false);
    expect(describeResult(result)).toContain("THE LEDGER IS NOT CLEAN.");
  },
);

test("result: one failed send and it is not clean", () => {
  expect(isClean(resultOf(counts, { ...measures, failedSends: 1 }))).toBe(false);
});
