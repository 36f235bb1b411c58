import { expect, test } from "vitest";
import { makeGroupMemberRecord } from "../../../../protos/gen/tricampus/data/v1/group_codec.ts";
import {
  type DeliveryOutcome,
  DeliveryOutcomeKind,
  type DeliveryTarget,
} from "../../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { nextTargets, planTargets } from "./delivery.ts";

const showTarget = ({ userId, fromSequence, throughSequence, allowSkip }: DeliveryTarget) =>
  `${userId} ${fromSequence}..${throughSequence}${allowSkip ? " skip" : ""}`;

// A member "since-left", 0: still one. The messages are 11 to 20.
test.each([
  { what: "a member for long", member: "1-0", target: "ann 10..20" },
  { what: "a member since just before", member: "11-0", target: "ann 10..20 skip" },
  { what: "joined within", member: "15-0", target: "ann 14..20 skip" },
  { what: "joined with the last", member: "20-0", target: "ann 19..20 skip" },
  { what: "joined after", member: "21-0", target: "" },
  { what: "left within: the leave is the last", member: "1-15", target: "ann 10..15" },
  { what: "left with the first", member: "1-11", target: "ann 10..11" },
  { what: "left before", member: "1-10", target: "" },
  { what: "left after", member: "1-25", target: "ann 10..20" },
  { what: "joined and left within", member: "13-15", target: "ann 12..15 skip" },
])("delivery targets: $what", ({ member, target }) => {
  const [sinceSequence, leftSequence] = member.split("-").map(Number) as [number, number];
  const members = new Map([
    ["ann", makeGroupMemberRecord({ userId: "ann", sinceSequence, leftSequence })],
  ]);
  const targets = planTargets(members, { after: 10, through: 20 });
  expect(targets.map(showTarget).join()).toBe(target);
});

test("delivery targets: the first members of a new group", () => {
  const members = new Map([["ann", makeGroupMemberRecord({ userId: "ann", sinceSequence: 1 })]]);
  const targets = planTargets(members, { after: 0, through: 1 });
  expect(targets.map(showTarget)).toEqual(["ann 0..1 skip"]);
});

const nothing = { version: 7, alone: true, mark: 0, message: "", code: 0 };
const delivered: DeliveryOutcome = { ...nothing, kind: DeliveryOutcomeKind.DELIVERED };
const failed: DeliveryOutcome = { ...nothing, kind: DeliveryOutcomeKind.FAILED };
const markAt = (mark: number): DeliveryOutcome => ({
  ...nothing,
  kind: DeliveryOutcomeKind.MARK_ELSEWHERE,
  mark,
});

test.each([
  { what: "delivered", outcome: delivered, next: { arrived: "ann v7 alone" } },
  { what: "there already", outcome: markAt(20), next: { arrived: "ann v7" } },
  { what: "more than that is there", outcome: markAt(30), next: { arrived: "ann v7" } },
  { what: "a part is there already", outcome: markAt(15), next: { again: "ann 15..20" } },
  { what: "older messages are not there", outcome: markAt(4), next: { behind: "ann 4..20" } },
  { what: "not reached", outcome: failed, next: { failed: "ann 10..20 skip" } },
  { what: "no outcome", outcome: undefined, next: { failed: "ann 10..20 skip" } },
])("delivery outcome: $what", ({ outcome, next }) => {
  const target = { userId: "ann", fromSequence: 10, throughSequence: 20, allowSkip: true };
  const found = nextTargets([target], outcome === undefined ? [] : [outcome]);
  const none = { arrived: "", again: "", behind: "", failed: "" };
  expect({
    arrived: found.arrived.map((a) => `${a.userId} v${a.version}${a.alone ? " alone" : ""}`).join(),
    again: found.again.map(showTarget).join(),
    behind: found.behind.map(showTarget).join(),
    failed: found.failed.map(showTarget).join(),
  }).toEqual({ ...none, ...next });
});
