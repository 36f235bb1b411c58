/** What `up` takes from where. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { paths, writeJson } from "../../services/platform/paths.ts";
import { readConfig } from "./up.ts";

let dataDir: string;
beforeAll(() => {
  dataDir = mkdtempSync(join(tmpdir(), "tricampus-up-"));
  writeJson(paths.platform(dataDir), { kvGroups: 3, layout: "split", basePort: 7_400 });
});
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

function configWith(file: object | undefined, options: Record<string, unknown> = {}) {
  const path = join(dataDir, "file.json");
  if (file !== undefined) writeFileSync(path, JSON.stringify(file));
  const all = { ...options, ...(file === undefined ? {} : { config: path }) };
  return readConfig({ arguments: [], options: all, json: false, dataDir });
}

test("up: without a file all is as before, and options win", () => {
  expect(configWith(undefined)).toMatchObject({ kvGroups: 3, layout: "split", basePort: 7_400 });
  expect(configWith(undefined, { basePort: "7500" })).toMatchObject({ basePort: 7_500 });
});

test("up: a file that does not speak of KV groups leaves their number as it is, also where it names the folder", () => {
  expect(configWith({})).toMatchObject({ kvGroups: 3, layout: "compact", basePort: 7_100 });
  expect(configWith({ kvGroups: 4 })).toMatchObject({ kvGroups: 4 });
  expect(configWith({ dataDir: join(dataDir, "other") })).toMatchObject({ kvGroups: 1 });
});
