/**
 * Ends a test run with the line that CI reads: `N passed, N failed, N skipped`. Before it stand the failed
 * tests, one a line with the first line of its error: of a long log often only the end is kept.
 *
 * The line is printed when the process exits, not when the tests end, so that nothing vitest says
 * on its way out ("close timed out") comes after it. What is wrong without being a failed test (a
 * file that does not load, an unhandled error, a run in which no test ran) counts as failed too:
 * the line never looks better than the exit code.
 */
import { relative } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Reporter, TestCase, TestModule, TestRunEndReason } from "vitest/node";

/** The part of vitest's module that is counted. */
export interface CountedModule {
  children: { allTests(): Iterable<Pick<TestCase, "result" | "fullName">> };
  moduleId: string;
  ok(): boolean;
}

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

export function countRun(modules: readonly CountedModule[], unhandledErrors: number): Counts {
  const counts: Counts = { passed: 0, failed: unhandledErrors, skipped: 0 };
  for (const module of modules) {
    const failedBefore = counts.failed;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      // A test still pending at the end of the run was cut short.
      if (state === "pending") counts.failed += 1;
      else counts[state] += 1;
    }
    if (!module.ok() && counts.failed === failedBefore) counts.failed += 1;
  }
  if (counts.passed + counts.failed === 0) counts.failed = 1;
  return counts;
}

/** What vitest hands over is an object with the error's fields, without a prototype. */
function firstLine(error: { message?: string } | undefined): string {
  return stripVTControlCharacters(error?.message ?? "").split("\n", 1)[0]!;
}

/** `failed: FILE > TEST: ERROR` for every test that failed; whole files stand without a test. */
export function failedLines(modules: readonly CountedModule[], dir: string): string[] {
  return modules.flatMap((module) => {
    if (module.ok()) return [];
    const file = relative(dir, module.moduleId);
    const failed = [...module.children.allTests()].flatMap((test) => {
      const result = test.result();
      if (result.state !== "failed") return [];
      return [`failed: ${file} > ${test.fullName}: ${firstLine(result.errors[0])}`];
    });
    return failed.length > 0 ? failed : [`failed: ${file}`];
  });
}

export default class ClosingLineReporter implements Reporter {
  /** Until a run has ended: one failure, so that a vitest that dies early does not look green. */
  private counts: Counts = { passed: 0, failed: 1, skipped: 0 };
  private failed: string[] = [];

  onInit(): void {
    process.once("exit", () => {
      const { passed, failed, skipped } = this.counts;
      if (failed > 0 && !process.exitCode) process.exitCode = 1;
      const closing = `${passed} passed, ${failed} failed, ${skipped} skipped`;
      process.stdout.write(`${[...this.failed, closing].join("\n")}\n`);
    });
  }

  onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly unknown[],
    reason: TestRunEndReason,
  ): void {
    this.counts = countRun(modules, unhandledErrors.length);
    this.failed = failedLines(modules, process.cwd());
    for (const error of unhandledErrors) {
      this.failed.push(`failed: outside of a test: ${firstLine(error as { message?: string })}`);
    }
    if (reason !== "passed" && this.counts.failed === 0) this.counts.failed = 1;
  }
}
