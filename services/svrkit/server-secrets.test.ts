import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { readServerSecrets } from "./server-secrets.ts";

test("server secrets: what is there is read without its last line end, what is not is undefined", () => {
  const dir = mkdtempSync(join(tmpdir(), "server-secrets-"));
  writeFileSync(join(dir, "username"), "me\n");
  writeFileSync(join(dir, "ca.crt"), "PEM");
  expect(readServerSecrets(dir)).toEqual({
    ...{ username: "me", ca: "PEM" },
    ...{ password: undefined, token: undefined, cert: undefined, key: undefined },
  });
  rmSync(dir, { recursive: true });
  expect(readServerSecrets(undefined).username).toBeUndefined();
});
