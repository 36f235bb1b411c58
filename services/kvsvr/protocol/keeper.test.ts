import { expect, test } from "vitest";
import { type Admission, type HeldEpoch, judgeAdmission } from "./admission.ts";
import { afterAdmission, afterCopy, eraOf, forcedEpoch, type Keeper } from "./keeper.ts";

const ALONE: Keeper = { force: "one", settled: true, full: [] };

function held(epoch: number): HeldEpoch {
  return { epoch, admission: undefined };
}

function told(epoch: number): Admission {
  return { epoch, replica: 1, diskId: "b1" };
}

test("keeper: it keeps until two new members are full, whichever disk they had before", () => {
  const one = afterCopy(ALONE, 0, "a1")!;
  expect(one.full).toEqual([{ replica: 0, diskId: "a1" }]);
  expect(afterCopy(one, 0, "a1")).toEqual(one);
  expect(afterCopy(one, 2, "c1")).toBeUndefined();
  // Its disk is lost again: what it had voted with the keeper the keeper has.
  const lost = afterAdmission(one, 0);
  expect(lost.full).toEqual([]);
  expect(afterCopy(lost, 2, "c1")!.full).toEqual([{ replica: 2, diskId: "c1" }]);
});

test.each([
  [1, 1, "outdated"],
  [1, 2, "hold"],
  [1, forcedEpoch(1, 1), "excluded"],
  [forcedEpoch(1, 1), forcedEpoch(1, 1) + 1, "hold"],
  [forcedEpoch(1, 1) + 7, forcedEpoch(1, 2), "excluded"],
  [forcedEpoch(1, 2), forcedEpoch(1, 1), "outdated"],
  [forcedEpoch(1, 2), forcedEpoch(forcedEpoch(1, 2), 0), "excluded"],
])("keeper: in epoch %d one of %d is %s", (own, other, verdict) => {
  expect(judgeAdmission(held(own), told(other))).toBe(verdict);
});

test("keeper: each force begins an era that no other survivor's force begins", () => {
  const eras = [0, 1, 2].map((survivor) => eraOf(forcedEpoch(3, survivor)));
  expect(new Set([0, ...eras]).size).toBe(4);
  for (const survivor of [0, 1, 2])
    for (const before of eras)
      expect(eraOf(forcedEpoch(before * 1_000_000, survivor))).toBeGreaterThan(before);
});
