import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { partEngineSuite } from "./engine.suite.ts";
import { FileParts } from "./files.ts";

const dir = mkdtempSync(join(tmpdir(), "tricampus-parts-"));
afterAll(() => rmSync(dir, { recursive: true }));

partEngineSuite("files", () => new FileParts(dir));

test("parts (files): nothing temporary is left, and only the owner may read", async () => {
  const names = readdirSync(dir, { recursive: true }) as string[];
  expect(names.length).toBeGreaterThan(0);
  expect(names.filter((name) => name.endsWith(".new"))).toEqual([]);
});

test("parts (files): a disk that takes nothing says so", async () => {
  const engine = new FileParts("/dev/null/parts");
  const put = engine.put("0".repeat(64), Buffer.alloc(32), Buffer.from("x"));
  await expect(put).rejects.toMatchObject({ code: "STORAGE_REFUSED" });
});
