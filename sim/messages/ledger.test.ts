import { expect, test } from "vitest";
import { checkSchedule, type DeviceFact, type RowFact, type Schedule } from "./ledger.ts";

const row = (sequence: number, facts: Partial<RowFact> = {}): RowFact => ({
  ...{ sequence, messageId: `id${sequence}`, senderId: "ann", clientMessageId: `m${sequence}` },
  ...{ text: `text of m${sequence}`, isOfSystem: false, shown: "whole" },
  ...facts,
});
const device = (name: string, rows: RowFact[], facts: Partial<DeviceFact> = {}): DeviceFact => ({
  ...{ name, since: 0, rows, doubles: 0, toldTwice: [] },
  ...facts,
});
const sent = (n: number, startMs: number, ackedMs: number | undefined) => ({
  ...{ userId: "ann", clientMessageId: `m${n}`, text: `text of m${n}`, startMs, ackedMs },
});

/** Three messages, all of which both devices have. */
const all = [row(1), row(2), row(3)];
const clean: Schedule = {
  conversationId: "c:ann|bob",
  sends: [sent(1, 0, 5), sent(2, 6, 9), sent(3, 10, 12)],
  recalls: [],
  devices: [device("phone", all), device("desk", all)],
};
const withDesk = (rows: RowFact[], facts: Partial<DeviceFact> = {}) => ({
  ...clean,
  devices: [device("phone", all), device("desk", rows, facts)],
});
const without = (rows: RowFact[], sequence: number) =>
  rows.filter((one) => one.sequence !== sequence);
const recalls = [{ sequence: 2, ackedMs: 20 }];

test.each<[string, Schedule]>([
  ["everybody has everything", clean],
  [
    "a send nobody knows the outcome of was not taken",
    { ...clean, sends: [...clean.sends, sent(4, 13, undefined)] },
  ],
  ["a device that came late lacks what was before", withDesk([row(3)], { since: 2 })],
  [
    "what was taken back need not be there any more",
    { ...withDesk(without(all, 2)), recalls: [{ sequence: 2, ackedMs: undefined }] },
  ],
  [
    "what was taken back is shown so",
    {
      ...clean,
      recalls,
      devices: [device("phone", [row(1), row(2, { shown: "recalled" }), row(3)])],
    },
  ],
])("ledger: clean when %s", (_, schedule) => {
  expect(checkSchedule(schedule)).toEqual([]);
});

test.each<[string, string, Schedule]>([
  [
    "an acknowledged message is nowhere",
    "delivered",
    { ...clean, sends: [...clean.sends, sent(4, 13, 14)] },
  ],
  ["a device lacks one", "everybody", withDesk(without(all, 2))],
  ["a late device lacks one of its time", "everybody", withDesk([row(2)], { since: 1 })],
  [
    "nobody has a number",
    "no-gap",
    { ...clean, sends: [], devices: [device("phone", [row(1), row(3)])] },
  ],
  [
    "a message stands twice",
    "once",
    withDesk([...all, row(4, { messageId: "id1", clientMessageId: "m1" })]),
  ],
  [
    "a message got two ids",
    "once",
    withDesk([...all, row(4, { clientMessageId: "m1", text: "text of m1" })]),
  ],
  ["a device refused a double", "once", withDesk(all, { doubles: 1 })],
  ["an application was told twice", "once", withDesk(all, { toldTwice: ["c:ann|bob#1"] })],
  [
    "devices differ about a number",
    "one-order",
    withDesk([row(1), row(2, { messageId: "id9" }), row(3)]),
  ],
  [
    "a later message stands before",
    "real-time",
    { ...clean, sends: [sent(1, 13, 15), sent(2, 6, 9), sent(3, 10, 12)] },
  ],
  ["a text is another one", "delivered", withDesk([row(1), row(2, { text: "oh" }), row(3)])],
  ["nobody sent it", "delivered", withDesk([...all, row(4)])],
  ["what was taken back is shown", "recall", { ...clean, recalls }],
  ["nobody took it back", "recall", withDesk([row(1), row(2, { shown: "recalled" }), row(3)])],
])("ledger: %s: %s", (_, checker, schedule) => {
  expect(checkSchedule(schedule).map((found) => found.checker)).toContain(checker);
});
