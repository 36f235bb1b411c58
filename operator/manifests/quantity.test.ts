import { expect, test } from "vitest";
import { canonicalQuantity, wholeUnits } from "./quantity.ts";

test("quantity: written as the API server writes it", () => {
  const written = [
    0.5,
    "0.5",
    "1000m",
    1,
    "1.5",
    "250m",
    "1000",
    "1024Mi",
    "1.5Gi",
    "512Ki",
    "1000Ki",
    "20Gi",
    "0",
    "100M",
    "1Ki",
    "0.5Ki",
  ];
  expect(written.map((q) => `${q} ${canonicalQuantity(q)}`)).toEqual([
    "0.5 500m",
    "0.5 500m",
    "1000m 1",
    "1 1",
    "1.5 1500m",
    "250m 250m",
    "1000 1k",
    "1024Mi 1Gi",
    "1.5Gi 1536Mi",
    "512Ki 512Ki",
    "1000Ki 1000Ki",
    "20Gi 20Gi",
    "0 0",
    "100M 100M",
    "1Ki 1Ki",
    "0.5Ki 512",
  ]);
});

test("quantity: whole units, rounded up; what is no amount is refused", () => {
  expect(["96Mi", "1500m", 2].map(wholeUnits)).toEqual([100_663_296, 2, 2]);
  expect(() => canonicalQuantity("ten")).toThrow('"ten" is no amount');
});
