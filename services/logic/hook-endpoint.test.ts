import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { Lifecycle } from "../svrkit/lifecycle.ts";
import { silentLogger } from "../svrkit/log.ts";
import { followedHookSecret } from "./hook-endpoint.ts";
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

test("hook endpoint: a changed secret signs from then on; an empty one never", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-hook-"));
  const path = join(dir, "secret");
  const log = silentLogger();
  const lifecycle = new Lifecycle(log);
  const context = { log, lifecycle };
  try {
    writeFileSync(path, "shared\n");
    const secret = followedHookSecret("events", path, context);
    expect(secret()).toBe("shared");
    writeFileSync(path, "\n");
    writeFileSync(path, "another\n");
    await vi.waitFor(() => expect(secret()).toBe("another"), 15_000);
    writeFileSync(path, "\n");
    expect(() => followedHookSecret("pushes", path, context)).toThrow(`${path} is empty`);
  } finally {
    await lifecycle.stop();
    rmSync(dir, { recursive: true });
  }
});
