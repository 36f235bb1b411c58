import { expect, test } from "vitest";
import {
  cutOut,
  type HeldSpan,
  holdingAt,
  holdingsAnew,
  OWNED,
  type SlotHolding,
  withHolding,
} from "./held-slots.ts";

const SLOTS = 100;
const span = (first: number, last: number, keyspace = 1) => ({ keyspace, first, last });
const sealed: SlotHolding = { state: "sealed", move: 7, to: 2 };
const gone: SlotHolding = { state: "gone", to: 2 };
const receiving: SlotHolding = { state: "receiving", move: 7, anew: false };
const anew: SlotHolding = { ...receiving, anew: true };
const text = (spans: readonly HeldSpan[]) =>
  spans.map(({ first, last, holding }) => `${first}-${last}:${holding.state}`).join(" ");

test("held slots: the newest says, neighbours become one, and others stay as they were", () => {
  let spans = withHolding([], span(10, 19), sealed);
  spans = withHolding(spans, span(20, 29), sealed);
  expect(text(spans)).toBe("10-29:sealed");
  spans = withHolding(spans, span(15, 24), gone);
  expect(text(spans)).toBe("10-14:sealed 15-24:gone 25-29:sealed");
  spans = withHolding(spans, span(0, 99), OWNED);
  expect(text(spans)).toBe("0-99:owned");
});

test("held slots: as an array of slots would have it, whatever is done (1,000 random changes)", () => {
  const holdings = [OWNED, sealed, gone, receiving];
  let spans: HeldSpan[] = [];
  const model = new Array<SlotHolding | undefined>(SLOTS).fill(undefined);
  let seed = 1;
  const draw = (count: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % count;
  };
  for (let i = 0; i < 1_000; i++) {
    const [a, b] = [draw(SLOTS), draw(SLOTS)];
    const [first, last] = [Math.min(a, b), Math.max(a, b)];
    const holding = holdings[draw(holdings.length)]!;
    spans = withHolding(spans, span(first, last), holding);
    model.fill(holding, first, last + 1);
    const slot = draw(SLOTS);
    expect(holdingAt(spans, { keyspace: 1, slot })).toEqual(model[slot]);
    expect(holdingAt(spans, { keyspace: 2, slot })).toBeUndefined();
  }
  expect(spans.every((s, n) => n === 0 || spans[n - 1]!.last < s.first)).toBe(true);
});

test("held slots: what is left of a span without another", () => {
  expect(cutOut(span(0, 9), span(3, 4))).toEqual([span(0, 2), span(5, 9)]);
  expect(cutOut(span(0, 9), span(0, 9))).toEqual([]);
  expect(cutOut(span(0, 9), span(3, 4, 2))).toEqual([span(0, 9)]);
});

test.each([
  ["both own", 1, undefined, undefined, OWNED],
  ["one is sealed already", 1, sealed, undefined, gone],
  ["both have given it up", 1, gone, gone, gone],
  ["both receive", 2, receiving, receiving, anew],
  ["one owns, the other receives", 2, OWNED, receiving, anew],
  ["both took it over", 2, OWNED, OWNED, OWNED],
] as [string, number, SlotHolding | undefined, SlotHolding | undefined, SlotHolding][])(
  "held slots: a new member when %s (group %i)",
  (_, group, one, other, expected) => {
    const tables = [one, other].map((holding) =>
      holding === undefined ? [] : withHolding([], span(10, 19), holding),
    );
    const held = holdingsAnew(group, tables, SLOTS);
    const at = (slot: number) => holdingAt(held, { keyspace: 1, slot });
    if (one !== undefined) expect(at(15)).toEqual(expected);
    const first: SlotHolding = group === 1 ? OWNED : { state: "gone", to: 0 };
    expect(at(9) ?? first).toEqual(first);
    expect(at(20) ?? first).toEqual(first);
  },
);
