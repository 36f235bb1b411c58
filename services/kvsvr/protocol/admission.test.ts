/** S3: both others agree on one epoch and one new member, whatever was begun before. */
import { expect, test } from "vitest";
import { type Admission, epochFor, type HeldEpoch, judgeAdmission } from "./admission.ts";

const wanted = { replica: 2, diskId: "new" };
const first: HeldEpoch = { epoch: 1, admission: undefined };
const held = (epoch: number, diskId = "new", replica = 2): HeldEpoch => ({
  epoch,
  admission: { epoch, replica, diskId },
});

const EPOCHS: readonly [situation: string, readonly HeldEpoch[], epoch: number][] = [
  ["nothing begun", [first, first], 2],
  ["one holds it: the same again", [held(2), first], 2],
  ["both hold it", [held(2), held(2)], 2],
  ["one holds another disk of this replica", [held(2, "before"), first], 3],
  ["both hold another disk", [held(2, "before"), held(2, "before")], 3],
  ["they hold different disks in one epoch", [held(2), held(2, "before")], 3],
  ["an admission of another replica came before", [held(4, "other", 1), held(4, "other", 1)], 5],
];

for (const [situation, others, epoch] of EPOCHS) {
  test(`S3: epoch of a new member: ${situation}: ${epoch}`, () => {
    expect(epochFor(wanted, others)).toBe(epoch);
    expect(epochFor(wanted, others.toReversed())).toBe(epoch);
  });
}

test("S3: an admission is held once, and none of an older epoch or of another disk", () => {
  const told: Admission = { epoch: 2, ...wanted };
  expect(judgeAdmission(first, told)).toBe("hold");
  expect(judgeAdmission(held(2), told)).toBe("held");
  expect(judgeAdmission(held(2, "other"), told)).toBe("outdated");
  expect(judgeAdmission(held(3), told)).toBe("outdated");
});
