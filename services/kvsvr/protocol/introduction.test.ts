/** S3: which replica is the one remembered. */
import { expect, test } from "vitest";
import { OLDER_COPY } from "../../svrkit/known-disk.ts";
import {
  type Claim,
  judgeIntroduction,
  type Met,
  metAfter,
  STARTS_KEPT,
  type Start,
  startsToKeep,
} from "./introduction.ts";

const start = (incarnation: number, nonce = `n${incarnation}`): Start => ({ incarnation, nonce });
const at = (segment: number, bytes: number) => ({ segment, bytes });
const met: Met = { diskId: "d", ...start(5), ...at(3, 100) };
const claim = (now: Start, before: readonly Start[], reach = at(3, 100)): Claim => ({
  diskId: "d",
  ...now,
  before,
  ...reach,
});

const LOST = /lost its memory/;
const OLDER = new RegExp(OLDER_COPY);

const TABLE: readonly [
  situation: string,
  remembered: Met | undefined,
  Claim,
  RegExp | undefined,
][] = [
  ["never met", undefined, claim(start(1), []), undefined],
  ["the same start, further on", met, claim(start(5), [start(4)], at(3, 180)), undefined],
  ["a message of the same start that comes late", met, claim(start(5), [], at(3, 60)), undefined],
  ["the next start", met, claim(start(6), [start(4), start(5)]), undefined],
  ["the next start, in a new segment", met, claim(start(6), [start(5)], at(4, 16)), undefined],
  ["several starts later", met, claim(start(9), [start(5), start(6), start(8)]), undefined],
  ["another disk", met, { ...claim(start(6), [start(5)]), diskId: "e" }, LOST],
  ["a copy taken before the start, put back", met, claim(start(5, "x"), [start(4)]), OLDER],
  ["the copy, started again", met, claim(start(6), [start(4), start(5, "x")]), OLDER],
  ["the copy, many starts later", met, claim(start(99), [start(5, "x"), start(98)]), OLDER],
  ["a much older copy", met, claim(start(3, "x"), [start(2)], at(9, 900)), OLDER],
  ["a copy taken during the start, shorter", met, claim(start(6), [start(5)], at(3, 99)), OLDER],
  ["a copy of an older segment", met, claim(start(6), [start(5)], at(2, 900)), OLDER],
  ["a start that it no longer names", met, claim(start(99), [start(98)]), OLDER],
  ["a disk without nonces, remembered with one", met, claim(start(6, ""), []), OLDER],
  ["remembered without a nonce", { ...met, nonce: "" }, claim(start(6), []), undefined],
  ["older than that", { ...met, nonce: "" }, claim(start(4), []), OLDER],
];

for (const [situation, remembered, claimed, refused] of TABLE) {
  test(`S3: introduction: ${situation}: ${refused === undefined ? "welcome" : "refused"}`, () => {
    const reason = judgeIntroduction(remembered, claimed);
    if (refused === undefined) expect(reason).toBeUndefined();
    else expect(reason).toMatch(refused);
  });
}

test("S3: a position that is passed already stays remembered, a new start is taken over", () => {
  expect(metAfter(met, claim(start(5), [], at(3, 60)))).toEqual(met);
  expect(metAfter(met, claim(start(5), [], at(3, 160)))).toEqual({ ...met, bytes: 160 });
  const next = claim(start(6), [start(5)], at(4, 16));
  expect(metAfter(met, next)).toEqual({ diskId: "d", ...start(6), ...at(4, 16) });
});

test("S3: the newest starts are kept, and those that another replica remembers", () => {
  const starts = Array.from({ length: STARTS_KEPT + 10 }, (_, i) => start(i + 1));
  const kept = startsToKeep(starts, [3]);
  expect(kept).toHaveLength(STARTS_KEPT + 1);
  expect(kept[0]).toEqual(start(3));
  expect(kept[1]).toEqual(start(11));
});
