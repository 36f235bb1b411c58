import { configDefaults, defineConfig } from "vitest/config";

/** Tests of whole platforms that take too long for `make test`; those in a cluster have their own. */
export default defineConfig({
  test: {
    include: ["**/*.e2e.ts"],
    exclude: [
      ...configDefaults.exclude,
      "data/**",
      "e2e/kind/**",
      "e2e/containers/**",
      "e2e/browser/**",
    ],
    reporters: ["default", "./tools/closing-line-reporter.ts"],
    pool: "forks",
    maxWorkers: 2,
    testTimeout: 600_000,
    hookTimeout: 120_000,
    // What is waited for comes late on a busy machine: how long is no expectation.
    expect: { poll: { timeout: 10_000 } },
  },
});
