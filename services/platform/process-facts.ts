/**
 * What the system says of a process id. A number in a file may by now belong to a stranger, so
 * nothing is signalled before its command line was looked at.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

export type ProcessFacts =
  | { readonly state: "gone" }
  | { readonly state: "running" | "stopped"; readonly command: string };

const GONE: ProcessFacts = { state: "gone" };

export function lookAtProcess(pid: number): ProcessFacts {
  if (!Number.isSafeInteger(pid) || pid <= 1) return GONE;
  return existsSync("/proc/self/stat") ? fromProc(pid) : fromPs(pid);
}

function fromProc(pid: number): ProcessFacts {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name stands in parentheses and may hold anything; the state follows the last one.
    const letter = stat.slice(stat.lastIndexOf(")") + 2)[0]!;
    const command = readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ").trim();
    return factsOf(letter, command);
  } catch {
    return GONE;
  }
}

function fromPs(pid: number): ProcessFacts {
  try {
    const line = execFileSync("ps", ["-o", "stat=,command=", "-p", String(pid)], {
      encoding: "utf8",
    });
    const [letters, ...command] = line.trim().split(/\s+/);
    return factsOf(letters?.[0] ?? "Z", command.join(" "));
  } catch {
    return GONE;
  }
}

/** Z and X are the dead whose parent has not looked yet. */
function factsOf(letter: string, command: string): ProcessFacts {
  if (letter === "Z" || letter === "X") return GONE;
  return { state: letter === "T" || letter === "t" ? "stopped" : "running", command };
}

/** A living process whose command line holds all the words. */
export function isProcess(pid: number, ...words: readonly string[]): boolean {
  const facts = lookAtProcess(pid);
  return facts.state !== "gone" && words.every((word) => facts.command.includes(word));
}

/** Resolves to true when the process is gone, to false when the time is over. */
export async function waitUntilGone(pid: number, timeoutMs: number): Promise<boolean> {
  const giveUp = performance.now() + timeoutMs;
  while (lookAtProcess(pid).state !== "gone") {
    if (performance.now() >= giveUp) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return true;
}

/** Signals a process or, with a negative number, a group; one that is gone already is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
