/**
 * The tidy test: the rules of the house that neither the compiler nor biome knows.
 *
 * `node tools/tidy.ts` reads every TypeScript file that git knows or would add, prints a line for
 * each finding and ends with 1 if there is any. Rules are pure functions over paths and texts, in
 * tools/tidy/; cycles are biome's task, dead files knip's.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import type { Finding } from "./tidy/finding.ts";
import { checkImports } from "./tidy/imports.ts";
import {
  checkErasable,
  checkLeftBehind,
  checkNames,
  checkPurity,
  checkSizes,
} from "./tidy/rules.ts";
import { maskSource } from "./tidy/source.ts";

export interface SourceFile {
  /** Relative to the repository's root, with `/`. */
  path: string;
  text: string;
}

export function checkTidy(files: readonly SourceFile[]): Finding[] {
  const findings = files.filter(({ path }) => !isGenerated(path)).flatMap(checkFile);
  return findings.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

function isGenerated(path: string): boolean {
  return path.startsWith("protos/gen/");
}

function checkFile({ path, text }: SourceFile): Finding[] {
  const source = maskSource(text);
  return [
    ...checkNames(path),
    ...checkErasable(path, source),
    ...checkImports(path, source),
    ...checkPurity(path, source),
    ...checkSizes(path, source),
    ...checkLeftBehind(path, source),
  ];
}

function main(): void {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.ts"];
  const paths = execFileSync("git", args, { encoding: "utf8" }).split("\0");
  const files = [...new Set(paths)]
    // A file that is deleted but still in git's index is listed too.
    .filter((path) => path !== "" && existsSync(path))
    .map((path) => ({ path, text: readFileSync(path, "utf8") }));
  const findings = checkTidy(files);
  for (const { path, line, rule, message, isWarning } of findings) {
    console.log(`${path}:${line}: ${isWarning ? "wish: " : ""}${message} [${rule}]`);
  }
  const failing = findings.filter((finding) => !finding.isWarning).length;
  if (failing > 0) {
    console.log(`tidy: ${failing} findings in ${files.length} files`);
    process.exitCode = 1;
  }
}

if (import.meta.main) main();
