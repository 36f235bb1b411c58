import { defineConfig } from "vitest/config";

/** Tests of whole platforms that take too long for `make test`; one at a time. */
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    reporters: ["default", "./tools/closing-line-reporter.ts"],
    pool: "forks",
    maxWorkers: 1,
    testTimeout: 600_000,
    hookTimeout: 120_000,
  },
});
