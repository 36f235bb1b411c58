import { expect, test } from "vitest";
import { Patience } from "./patience.ts";

test("patience: short in calm, longer after a late answer, bounded, and short again later", () => {
  const patience = new Patience();
  const at = (nowMs: number) => [patience.suspectMs(nowMs), patience.giveUpMs(nowMs)];
  expect(at(0)).toEqual([200, 450]);
  patience.silenceEnded(120, 1_000);
  expect(at(1_000)).toEqual([200, 450]);
  patience.silenceEnded(400, 2_000);
  expect(at(2_000)).toEqual([600, 1_000]);
  // A shorter one does not shorten it; time does.
  patience.silenceEnded(200, 2_000);
  expect(at(2_000)).toEqual([600, 1_000]);
  expect(at(12_000)).toEqual([300, 500]);
  expect(at(32_000)).toEqual([200, 450]);
  patience.silenceEnded(5_000, 40_000);
  expect(at(40_000)).toEqual([600, 1_200]);
});
