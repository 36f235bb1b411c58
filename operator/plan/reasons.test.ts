import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { REASONS } from "./reasons.ts";

test("reasons: every one is given somewhere, so none is explained in vain", () => {
  const sources = readdirSync(import.meta.dirname)
    .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts") && name !== "reasons.ts")
    .map((name) => readFileSync(new URL(name, import.meta.url), "utf8"))
    .join("\n");
  const elsewhere = readFileSync(new URL("../reconcilers/data-center.ts", import.meta.url), "utf8");
  const unused = Object.keys(REASONS).filter(
    (reason) => !`${sources}${elsewhere}`.includes(`"${reason}"`),
  );
  expect(unused).toEqual([]);
});
