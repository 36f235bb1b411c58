import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** They share one cluster: what uses it gently comes first, what removes the platform last. */
const ORDER = [
  "install",
  "goals",
  "schemas",
  "api-server",
  "permissions",
  "block",
  "drill",
  "even",
  "two-groups",
  "operator-killed",
  "upgrade",
  "zone-loss",
  "node-gone",
  "zone-cut",
  "api-server-down",
  "uninstall",
  "engines",
  "dev-profile",
];

/** What waits for kubelets, or installs anew: LONGER=1 runs them too. */
const LONGER = ["two-groups", "engines"];
const left = process.env.LONGER === "1" ? [] : LONGER.map((name) => `e2e/kind/${name}.e2e.ts`);

class InOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const found = ORDER.findIndex((name) => moduleId.endsWith(`/${name}.e2e.ts`));
      if (found < 0) throw new Error(`${moduleId}: give it a place in e2e/kind/vitest.config.ts`);
      return found;
    };
    return files.toSorted((a, b) => place(a) - place(b));
  }
}

/** Tests in a kind cluster with three zones. */
export default defineConfig({
  test: {
    include: ["e2e/kind/*.e2e.ts"],
    exclude: left,
    globalSetup: ["e2e/kind/testing/set-up.ts"],
    reporters: ["verbose", "./tools/closing-line-reporter.ts"],
    pool: "forks",
    maxWorkers: 1,
    fileParallelism: false,
    sequence: { sequencer: InOrder },
    testTimeout: 600_000,
    hookTimeout: 600_000,
    // What is waited for comes late on a busy machine: how long is no expectation.
    expect: { poll: { timeout: 60_000, interval: 500 } },
  },
});
