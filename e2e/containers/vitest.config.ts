import { defineConfig } from "vitest/config";

/** The engines that need servers of others, against these servers in containers. */
export default defineConfig({
  test: {
    include: ["e2e/containers/*.e2e.ts"],
    globalSetup: ["e2e/containers/testing/set-up.ts"],
    reporters: ["default", "./tools/closing-line-reporter.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // What is waited for comes late on a busy machine: how long is no expectation.
    expect: { poll: { timeout: 20_000 } },
  },
});
