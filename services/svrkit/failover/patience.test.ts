import { expect, test } from "vitest";
import { Patience } from "./patience.ts";

test("patience: short in calm, longer after a late answer, bounded, and short again later", () => {
  const patience = new Patience();
  expect(patience.ms(0)).toBe(450);
  patience.silenceEnded(160, 1_000);
  expect(patience.ms(1_000)).toBe(450);
  patience.silenceEnded(400, 2_000);
  expect(patience.ms(2_000)).toBe(1_000);
  // A shorter one does not shorten it; time does.
  patience.silenceEnded(200, 2_000);
  expect(patience.ms(2_000)).toBe(1_000);
  expect(patience.ms(12_000)).toBe(500);
  expect(patience.ms(22_000)).toBe(450);
  patience.silenceEnded(5_000, 30_000);
  expect(patience.ms(30_000)).toBe(1_200);
});
