/** What README.md shows works: its short commands run here, its long targets exist. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { makeTargets, shellBlocks, testedCommands } from "./readme-commands.ts";

const root = join(import.meta.dirname, "..");
const readme = readFileSync(join(root, "README.md"), "utf8");
const home = mkdtempSync(join(tmpdir(), "tricampus-readme-"));
afterAll(() => rmSync(home, { recursive: true }));

/** Runs as a newcomer would: in the clone, with an empty home. */
function run(command: string): string {
  const env = { ...process.env, HOME: home };
  return execFileSync("sh", ["-c", command], { cwd: root, env, encoding: "utf8", stdio: "pipe" });
}

test("readme: leads with `make up` and `make test`", () => {
  expect(shellBlocks(readme)[0]).toEqual(["make up", "make test"]);
});

test("readme: shows short commands that run in the test", () => {
  expect(testedCommands(readme)).not.toEqual([]);
});

test.each(testedCommands(readme))("readme: `%s` runs and prints something", (command) => {
  expect(run(command)).not.toBe("");
});

test.each(makeTargets(readme))("readme: `make %s` is a target", (target) => {
  expect(() => run(`make --dry-run ${target}`)).not.toThrow();
});
