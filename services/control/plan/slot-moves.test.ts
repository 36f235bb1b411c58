import { expect, test } from "vitest";
import {
  MovePhase,
  type Slots,
  TargetStage,
} from "../../../protos/gen/tricampus/control/v1/slots_codec.ts";
import { NO_SLOTS, rangesOf } from "./slot-map.ts";
import { planCancel, planMoves, planReport, type Report } from "./slot-moves.ts";

const { COPYING, STUCK, READY, OWNED, JOINING, JOINED } = TargetStage;
const NOTED = { who: "ann", why: "room", begunAtMs: 1 };
const ranges = [{ keyspace: 1, first: 0, last: 99, group: 0 }];
const stage = (stage: TargetStage): Report => ({ report: "stage", stage });
const CLEANED: Report = { report: "cleaned" };

function begun(moves = 1): Slots {
  const wanted = Array.from({ length: moves }, () => ({ ranges, from: 1, to: 2 }));
  const planned = planMoves(NO_SLOTS, wanted, NOTED);
  if (planned.verdict === "refused") throw new Error(planned.reason);
  return planned.slots;
}

/** The row after these reports, each of which must change it. */
function after(slots: Slots, ...reports: [replica: number, report: Report][]): Slots {
  return reports.reduce((before, [replica, report]) => {
    const next = planReport(before, { number: before.move!.number, replica }, report);
    if (next === undefined) throw new Error(`${replica} ${JSON.stringify(report)} changes nothing`);
    return next;
  }, slots);
}

const ready = (...replicas: number[]) => replicas.map((i): [number, Report] => [i, stage(READY)]);
const owned = (...replicas: number[]) => replicas.map((i): [number, Report] => [i, stage(OWNED)]);
const cleaned = (...replicas: number[]) => replicas.map((i): [number, Report] => [i, CLEANED]);
const groupOf = (slots: Slots, slot: number) =>
  rangesOf(slots, 1).find(({ first, last }) => first <= slot && slot <= last)!.group;

test("slot moves: it is sealed when three are ready, swapped when two own, cleaned when three do", () => {
  const steps: [Slots, MovePhase | undefined, number][] = [];
  let slots = begun();
  for (const step of [...ready(0, 1, 2), ...owned(2, 0, 1), ...cleaned(0, 2, 1)]) {
    slots = after(slots, step);
    steps.push([slots, slots.move?.phase, groupOf(slots, 50)]);
  }
  const { COPY, SEAL, SWAPPED, CLEAN } = MovePhase;
  expect(steps.map(([, phase, group]) => [phase, group])).toEqual([
    [COPY, 1],
    [COPY, 1],
    [SEAL, 1],
    [SEAL, 1],
    [SWAPPED, 2],
    [CLEAN, 2],
    [CLEAN, 2],
    [CLEAN, 2],
    [undefined, 2],
  ]);
  expect(groupOf(slots, 100)).toBe(1);
});

test("slot moves: with two ready it goes on only when somebody says that the third cannot be", () => {
  const one = after(begun(), ...ready(0));
  const goOn: Report = { report: "goOnWithTwo" };
  expect(planReport(one, { number: 1, replica: 0 }, goOn)).toBeUndefined();
  const two = after(one, ...ready(1), [2, stage(STUCK)]);
  expect(two.move!.phase).toBe(MovePhase.COPY);
  expect(after(two, [0, goOn]).move!.phase).toBe(MovePhase.SEAL);
});

test("slot moves: who joined instead of taking over is remembered as such", () => {
  const swapped = after(begun(), ...ready(0, 1, 2), ...owned(0, 1));
  const joined = after(swapped, [2, stage(JOINING)], [2, stage(OWNED)]);
  expect(joined.move!.targets).toEqual([OWNED, OWNED, JOINED]);
  expect(joined.move!.phase).toBe(MovePhase.CLEAN);
});

test.each([
  ["owned while it is copied", begun(), 0, stage(OWNED)],
  ["ready after it was sealed", after(begun(), ...ready(0, 1, 2)), 0, stage(COPYING)],
  ["the same again", after(begun(), ...ready(0)), 0, stage(READY)],
  ["cleaned before all own", after(begun(), ...ready(0, 1, 2), ...owned(0, 1)), 0, CLEANED],
  ["of no move", NO_SLOTS, 0, stage(READY)],
] as [string, Slots, number, Report][])(
  "slot moves: a report changes nothing (%s)",
  (_, slots, replica, report) => {
    expect(planReport(slots, { number: 1, replica }, report)).toBeUndefined();
  },
);

test("slot moves: a report of an earlier move changes nothing", () => {
  expect(planReport(begun(), { number: 7, replica: 0 }, stage(READY))).toBeUndefined();
});

test("slot moves: those that wait begin when the one before is over, each with its own number", () => {
  const all = [...ready(0, 1, 2), ...owned(0, 1, 2), ...cleaned(0, 1, 2)];
  const slots = after(begun(3), ...all);
  expect([slots.move!.number, slots.move!.phase, slots.waiting.length]).toEqual([
    2,
    MovePhase.COPY,
    1,
  ]);
  expect(after(slots, ...all, ...all).move).toBeUndefined();
});

test("slot moves: a second one is refused while one is under way", () => {
  const planned = planMoves(begun(), [{ ranges, from: 1, to: 2 }], NOTED);
  expect(planned).toMatchObject({
    verdict: "refused",
    reason: expect.stringMatching(/move 1.*ann/),
  });
});

test("slot moves: while it is copied it can be cancelled, and the targets clean up", () => {
  const planned = planCancel(after(begun(2), ...ready(0, 1)));
  if (planned.verdict === "refused") throw new Error(planned.reason);
  expect(planned.slots.move!.phase).toBe(MovePhase.CANCELLED);
  const over = after(planned.slots, ...cleaned(0, 1, 2));
  expect([over.move, over.waiting, groupOf(over, 50)]).toEqual([undefined, [], 1]);
});

test("slot moves: once it is sealed only those that wait are cancelled", () => {
  const sealed = after(begun(2), ...ready(0, 1, 2));
  const first = planCancel(sealed);
  if (first.verdict === "refused") throw new Error(first.reason);
  expect([first.slots.move!.phase, first.slots.waiting]).toEqual([MovePhase.SEAL, []]);
  expect(planCancel(first.slots).verdict).toBe("refused");
});
