/** S3: of a table nobody may hold all: the parts that a base and loose changes are fit together. */
import { expect, test } from "vitest";
import { type Decision, sealDecision } from "./decision.ts";
import { EMPTY_REGISTER, type Input, isCurrent, step } from "./register.ts";
import { votesLeft, withoutBallots } from "./votes-left.ts";

const owner = { replica: 0, incarnation: 1 };

function change(version: number, base: Decision | undefined, text = "v"): Decision {
  const row = { row: Buffer.from(`r${version}`), value: Buffer.from(text), deleted: false };
  const baseDigest = base?.digest ?? 0;
  const value = { rows: [row], lastNumber: 0, operations: undefined, trims: [], baseDigest };
  return sealDecision(version, owner, { case: "table", value });
}

const one = change(1, undefined);
const two = change(2, one);
const three = change(3, two);

/** The state of a peer that holds version 1 and knows of nothing above. */
const base: Input = {
  kind: "fetched",
  reply: {
    version: 1,
    digest: one.digest,
    owner,
    body: {
      case: "table",
      value: {
        rows: [{ row: Buffer.from("r1"), value: Buffer.from("v"), deleted: false, version: 1 }],
        lastNumber: 0,
        operations: undefined,
        trims: [],
        throughVersion: 1,
      },
    },
    unavailable: false,
    barred: "",
  },
};

test("S3: a base older than what is known, and the loose changes that lead on from it", () => {
  const known = step(EMPTY_REGISTER, { kind: "notice", version: 3, digest: three.digest }).register;
  const reply = votesLeft({ ...known, loose: [two, three] }, 0, 1_000);
  const loose = step(known, { kind: "copied", reply }).register;
  expect(loose).toMatchObject({ heldVersion: 0, loose: [two, three] });
  const fetched = step(loose, base);
  expect(isCurrent(fetched.register)).toBe(true);
  expect(fetched.rows.map(({ version }) => version)).toEqual([1, 2, 3]);
});

test("S3: a loose change that nothing proves is not applied", () => {
  const other = change(2, one);
  const known = step(EMPTY_REGISTER, { kind: "notice", version: 3, digest: three.digest }).register;
  const fetched = step({ ...known, loose: [other] }, base);
  expect(fetched.register).toMatchObject({ heldVersion: 1, known: { version: 3 } });
  expect(fetched.rows).toHaveLength(1);
});

const ballot = { round: 0, proposer: 4 };
const accept = (decision: Decision, before: Decision): Input => ({
  ...{ kind: "accept", ballot, decision, baseDigest: before.digest },
});
const noticeOf = ({ version, digest }: Decision): Input => ({ kind: "notice", version, digest });
const play = (inputs: Input[]) =>
  inputs.reduce((register, input) => step(register, input).register, EMPTY_REGISTER);

test("S3: two replicas that each have one of the newest changes loose hold both with the other's", () => {
  // One was away when the third change was decided, the other when the second was.
  const first = play([base, accept(two, one), noticeOf(three)]);
  const second = play([base, accept(three, two), noticeOf(three)]);
  for (const [here, there] of [
    [first, second],
    [second, first],
  ] as const) {
    expect(here).toMatchObject({ heldVersion: 1, known: { version: 3 } });
    const reply = withoutBallots(votesLeft(there, 0, 1_000), here);
    const copied: Input = { kind: "copied", reply };
    expect(isCurrent(step(here, copied).register)).toBe(true);
  }
});

test("S3: a change that has lost takes no place of the one that was decided, wherever it comes from", () => {
  const lost = change(2, one, "lost");
  const first = play([base, accept(two, one), noticeOf(three)]);
  // It accepted its own second change, which nobody else did, and was told of the third.
  const learned: Input = { kind: "learn", decision: three };
  const second = play([base, accept(lost, one), noticeOf(three), learned]);
  expect(second.loose).toEqual([lost, three]);
  for (const [here, there] of [
    [first, second],
    [second, first],
  ] as const) {
    const reply = withoutBallots(votesLeft(there, 0, 1_000), here);
    expect(isCurrent(step(here, { kind: "copied", reply }).register)).toBe(true);
  }
});

test("S3: a value accepted for a version that is known otherwise is no loose change", () => {
  const here = play([base, noticeOf(three), { kind: "learn", decision: three }]);
  const there = play([base, accept(two, one), accept(change(3, two, "lost"), two)]);
  const reply = withoutBallots(votesLeft(there, 0, 1_000), here);
  expect(step(here, { kind: "copied", reply }).register).toBe(here);
});

test("S3: what is copied twice changes nothing the second time", () => {
  const here = play([base, noticeOf(three)]);
  const there = play([base, accept(change(2, one, "lost"), one), noticeOf(three)]);
  const copied: Input = { kind: "copied", reply: withoutBallots(votesLeft(there, 0, 1_000), here) };
  const once = step(here, copied).register;
  expect(once.loose).toHaveLength(1);
  expect(step(once, copied)).toMatchObject({ log: false, rows: [] });
  expect(step(once, copied).register).toBe(once);
});

test("S1: of another replica's votes one that votes itself takes no promise and nothing that is open", () => {
  const held = step(EMPTY_REGISTER, base).register;
  const left = votesLeft(step(held, accept(two, one)).register, 0, 1_000);
  expect(step(held, { kind: "copied", reply: left }).register.accepted).toBeDefined();
  const reply = withoutBallots(left, held);
  expect(step(held, { kind: "copied", reply }).register).toBe(held);
});
