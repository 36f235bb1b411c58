import { configDefaults, defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["**/*.test.ts"],
    exclude: [...configDefaults.exclude, "data/**", "e2e/**"],
    reporters: ["default", "./tools/closing-line-reporter.ts"],
    // Many tests start processes of their own: a process per test file keeps a leak of one
    // file away from the next, and two at a time suit the two cores that CI has.
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // What is waited for comes late on a busy machine: how long is no expectation.
    expect: { poll: { timeout: 10_000 } },
  },
});
