import { defineConfig } from "vitest/config";

/** The SDK in a real browser. */
export default defineConfig({
  test: {
    include: ["e2e/browser/*.e2e.ts"],
    reporters: ["default", "./tools/closing-line-reporter.ts"],
    pool: "forks",
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // What is waited for comes late on a busy machine: how long is no expectation.
    expect: { poll: { timeout: 20_000 } },
  },
});
