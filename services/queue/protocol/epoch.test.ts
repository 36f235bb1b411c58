import { expect, test } from "vitest";
import { compareEpochs as compareInLogs } from "../../queuelog/protocol/epoch.ts";
import { campusOf, compareEpochs, highestEpoch, NO_EPOCH } from "./epoch.ts";

const all = [
  NO_EPOCH,
  { round: 1, writer: "a.1.1" },
  { round: 1, writer: "b.1.1" },
  { round: 2, writer: "a.1.1" },
  { round: 10, writer: "a.1.1" },
];

test("epoch: writers and logs order epochs alike", () => {
  all.forEach((a, i) => {
    all.forEach((b, j) => {
      expect(Math.sign(compareEpochs(a, b))).toBe(Math.sign(i - j));
      expect(Math.sign(compareInLogs(a, b))).toBe(Math.sign(i - j));
    });
  });
});

test("epoch: the highest of some, and who wrote under it", () => {
  expect(highestEpoch([all[2], undefined, all[4], all[1]])).toBe(all[4]);
  expect(highestEpoch([])).toBe(NO_EPOCH);
  const epoch = { round: 1, writer: "b.12.7" };
  expect(campusOf(epoch)).toBe("b");
});
