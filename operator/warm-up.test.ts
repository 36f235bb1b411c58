import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "..");
const flagsIn = (text: string, script: string) =>
  text
    .split("\n")
    .find((line) => line.includes(script) && line.includes("--v8-pool-size"))
    ?.match(/--[\w-]+(=\d+)?/g);

test("operator: the image's cache is made with the flags that its pod runs with, or it would be none", () => {
  const dockerfile = readFileSync(join(root, "Dockerfile"), "utf8");
  const chart = readFileSync(join(root, "charts/tricampus/templates/operator.yaml"), "utf8");
  const inPod = flagsIn(chart, "operator/main.ts");
  expect(inPod?.length).toBeGreaterThan(1);
  expect(flagsIn(dockerfile, "operator/warm-up.ts")).toEqual(inPod);
});
