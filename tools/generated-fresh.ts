/**
 * Checks that protos/gen is what protos/ generates.
 *
 * Generates into a temporary folder and compares every file, so that the working copy is left as
 * it is and the check can run while others work in it.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const GENERATED = "protos/gen";

export type GeneratedFiles = ReadonlyMap<string, string>;

/** What differs between the files that are checked in and those just generated, sorted. */
export function staleFiles(checkedIn: GeneratedFiles, generated: GeneratedFiles): string[] {
  const stale: string[] = [];
  for (const path of [...new Set([...checkedIn.keys(), ...generated.keys()])].sort()) {
    if (!checkedIn.has(path)) stale.push(`${path}: missing`);
    else if (!generated.has(path)) stale.push(`${path}: no .proto file generates it any more`);
    else if (checkedIn.get(path) !== generated.get(path)) stale.push(`${path}: stale`);
  }
  return stale;
}

function readTree(root: string): GeneratedFiles {
  const files = new Map<string, string>();
  if (!existsSync(join(root, GENERATED))) return files;
  const entries = readdirSync(join(root, GENERATED), { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    files.set(path.slice(join(root, "/").length), readFileSync(path, "utf8"));
  }
  return files;
}

function main(): void {
  const root = join(import.meta.dirname, "..");
  const scratch = mkdtempSync(join(tmpdir(), "tricampus-generated-"));
  try {
    execFileSync("buf", ["generate", "--output", scratch], { cwd: root, stdio: "inherit" });
    const stale = staleFiles(readTree(root), readTree(scratch));
    for (const line of stale) console.log(line);
    if (stale.length > 0) {
      console.log(`generated code: ${stale.length} files differ from protos/; run \`make gen\``);
      process.exitCode = 1;
    }
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

if (import.meta.main) main();
