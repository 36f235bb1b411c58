import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { silentLogger } from "../../svrkit/log.ts";
import { ApiKeys } from "./api-keys.ts";
import { hashOfApiKey, readApiKeys, writeApiKeys } from "./api-keys-client.ts";

const dir = mkdtempSync(join(tmpdir(), "tricampus-keys-"));
afterAll(() => rmSync(dir, { recursive: true }));

const KEY = Buffer.alloc(32, 1);
const OTHER = Buffer.alloc(32, 2);
const record = (name: string, key: Uint8Array, scopes: string[]) => {
  return { name, sha256: hashOfApiKey(key), scopes, createdAtMs: 1 };
};

test("API keys: a scope of a newer version gives nothing, takes nothing, and stays in the file", () => {
  const path = join(dir, "keys.json");
  const records = [record("shop", KEY, ["users", "holograms"]), record("old", OTHER, ["audit"])];
  writeFileSync(path, JSON.stringify({ keys: records }));
  const options = { path, requestsPerSecond: 10, log: silentLogger(), now: () => 0 };
  const keys = new ApiKeys(options);
  expect(keys.require(KEY, "users")).toBe("shop");
  expect(keys.require(OTHER, "audit")).toBe("old");
  expect(() => keys.require(KEY, "audit")).toThrow("lacks the scope audit");
  writeApiKeys(path, readApiKeys(path).slice(0, 1));
  expect(readApiKeys(path)).toEqual(records.slice(0, 1));
});
