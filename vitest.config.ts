import { globSync, readFileSync } from "node:fs";
import { configDefaults, defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const INCLUDE = "**/*.test.ts";
const EXCLUDE = [...configDefaults.exclude, "data/**", "e2e/**"];

/**
 * What a file of tests does that others in its process might notice: files, processes, servers, faked
 * timers, monitors, limits in force.
 */
const REACHES_OUT = /\bvi\.|"node:|\/testing\/|[tT]imer|putInForce|process\.|monitor/;

/** They decide and compute: a process for each would take longer than its tests. */
const pure = globSync(INCLUDE, { exclude: EXCLUDE }).filter(
  (file) => !REACHES_OUT.test(readFileSync(file, "utf8")),
);

/** They compute for a minute and more, while others wait for sockets and timers: begun last, they would run alone. */
const LONG = ["sim/sim.test.ts", "sim/bugs.test.ts", "operator/operator-acts.test.ts"];
const isLong = ({ moduleId }: TestSpecification) =>
  LONG.some((file) => moduleId.endsWith(`/${file}`));

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongFirst },
    reporters: ["default", "./tools/closing-line-reporter.ts"],
    pool: "forks",
    // CI has two cores, and half of the tests' time is waiting.
    maxWorkers: 3,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // What is waited for comes late on a busy machine: how long is no expectation.
    expect: { poll: { timeout: 10_000 } },
    projects: [
      { extends: true, test: { name: "pure", include: pure, isolate: false } },
      {
        extends: true,
        test: {
          name: "rest",
          include: [INCLUDE],
          // Many start processes of their own: a process per file keeps a leak of one away from the next.
          exclude: [...EXCLUDE, ...pure],
        },
      },
    ],
  },
});
