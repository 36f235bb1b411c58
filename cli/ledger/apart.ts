/** Makes a ledger in a process of its own, which shares nothing with this one but files. */
import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import type { LedgerCounts } from "./ledger.ts";

export interface LedgerReport {
  readonly counts: LedgerCounts;
  /** The first findings in words. */
  readonly examples: readonly string[];
}

/** `main` reads its task as JSON from stdin and prints what it found as JSON. */
export async function makeLedgerApart<T extends LedgerReport>(
  main: string,
  task: object,
): Promise<T> {
  const child = spawn(process.execPath, [main], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(JSON.stringify(task));
  const [output, code] = await Promise.all([
    text(child.stdout),
    new Promise<number | null>((done, fail) => child.once("exit", done).once("error", fail)),
  ]);
  if (code !== 0) throw new Error(`the ledger could not be made (exit code ${code})`);
  return JSON.parse(output) as T;
}
