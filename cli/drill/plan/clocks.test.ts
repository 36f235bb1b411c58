import { expect, test } from "vitest";
import { Clocks } from "./clocks.ts";

/** Each process: how far its clock is ahead, and how long its answer takes, of which it has been said in the middle. */
function apart(processes: Record<string, readonly [aheadMs: number, tookMs: number]>) {
  const clocks = new Clocks();
  for (const [name, [aheadMs, tookMs]] of Object.entries(processes)) {
    const saidMs = 1_000_000 + aheadMs + tookMs / 2;
    clocks.add(name, { askedMs: 1_000_000, heardMs: 1_000_000 + tookMs, saidMs });
  }
  return clocks.apart;
}

test("clocks: as far apart as is certain, whatever this machine's own says", () => {
  const found = apart({ "a/logic": [60_000, 20], "b/logic": [63_000, 40], "c/logic": [61_000, 2] });
  expect(found).toEqual({ known: 3, apartMs: 2_970, ahead: "b/logic", behind: "a/logic" });
});

test("clocks: a slow answer is no wrong clock", () => {
  expect(apart({ "a/logic": [0, 4_000], "b/logic": [1_500, 4_000] }).apartMs).toBe(0);
});

test("clocks: what was answered fastest counts, and who does not say its time is not known", () => {
  const clocks = new Clocks();
  clocks.add("a/logic", { askedMs: 0, heardMs: 0, saidMs: 5_000 });
  clocks.add("b/logic", { askedMs: 0, heardMs: 10, saidMs: 8_010 });
  clocks.add("b/logic", { askedMs: 100, heardMs: 4_100, saidMs: 8_200 });
  clocks.add("c/logic", { askedMs: 0, heardMs: 10, saidMs: 0 });
  expect(clocks.apart).toEqual({ known: 2, apartMs: 3_000, ahead: "b/logic", behind: "a/logic" });
});
