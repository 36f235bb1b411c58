import { expect, test } from "vitest";
import { PAUSES_OF_ASKING, Restraint } from "./restraint.ts";

test("restraint: what is done over and over is paused for longer and longer, and forgotten at last", () => {
  const restraint = new Restraint();
  const done: number[] = [];
  for (let ms = 0; ms < 200_000; ms += 100) {
    if (!restraint.allows("apply Service/x", ms)) continue;
    restraint.did(["apply Service/x", `apply Service/${ms}`], ms);
    done.push(ms);
  }
  expect(done).toEqual([
    0, 100, 200, 300, 1_300, 3_300, 7_300, 15_300, 31_300, 63_300, 123_300, 183_300,
  ]);
  expect(restraint.allows("apply Service/y", 200_000)).toBe(true);
  restraint.forget(400_000);
  expect(restraint.allows("apply Service/x", 400_000)).toBe(true);
});

test("restraint: who is told 'not now' is asked again after seconds, however often it was", () => {
  const restraint = new Restraint();
  const done: number[] = [];
  for (let ms = 0; ms < 30_000; ms += 100) {
    if (!restraint.allows("evict 1", ms, PAUSES_OF_ASKING)) continue;
    restraint.did(["evict 1"], ms);
    done.push(ms);
  }
  expect(done).toEqual([0, 100, 1_100, 3_100, 7_100, 12_100, 17_100, 22_100, 27_100]);
});
