import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readHookSecret } from "./hook-endpoint.ts";
import { hookUrl } from "./hook-schema.ts";

test.each([
  ["https://hooks.example/events?team=1", true],
  ["http://10.0.0.7:8080/", true],
  ["https://ann:secret@hooks.example/", false],
  ["https://token@hooks.example/", false],
  ["ftp://hooks.example/", false],
  ["hooks.example", false],
])("hook endpoint: %s is taken: %s", (url, taken) => {
  expect(hookUrl.safeParse(url).success).toBe(taken);
});

test("hook endpoint: an empty secret signs nothing", () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-hook-"));
  const path = join(dir, "secret");
  writeFileSync(path, "shared\n");
  expect(readHookSecret(path)).toBe("shared");
  writeFileSync(path, "\n");
  expect(() => readHookSecret(path)).toThrow(`${path} is empty`);
  rmSync(dir, { recursive: true });
});
