/**
 * What a table has forgotten through its versions: acknowledged trims have happened, those of unknown
 * outcome may have. A page says what it leaves out, and that must be what was asked for: no less, since
 * rows would be back, and no more.
 */
import type { SeenTrim, TableRead, TableWrite } from "../history.ts";

interface Trim {
  readonly prefix: string;
  /** From this version on; undefined: of unknown outcome. */
  readonly version: number | undefined;
  /** Acknowledged: what was forgotten then. Of unknown outcome: at most this. */
  readonly through: number;
}

export class TrimHistory {
  readonly #trims: readonly Trim[];

  constructor(writes: readonly TableWrite[]) {
    this.#trims = writes.flatMap((write) => trimsOf(write));
  }

  /** What is wrong with the trims that the reads report, in words. */
  *check(reads: readonly TableRead[]): Iterable<{ read: TableRead; wrong: string }> {
    const sorted = [...reads].sort((a, b) => a.version! - b.version!);
    const before = new Map<string, number>();
    for (const read of sorted) {
      for (const prefix of new Set([...before.keys(), ...this.#trims.map((trim) => trim.prefix)])) {
        const through = forgottenThrough(read, prefix);
        const least = Math.max(this.#leastAt(prefix, read.version!), before.get(prefix) ?? 0);
        if (through < least)
          yield { read, wrong: `forgot "${prefix}" through ${through} only, not through ${least}` };
        if (through > 0 && !this.#isAskedFor(prefix, through, read.version!))
          yield { read, wrong: `forgot "${prefix}" through ${through}, which nobody asked for` };
        before.set(prefix, Math.max(through, least));
      }
    }
  }

  #leastAt(prefix: string, version: number): number {
    const own = this.#trims.filter(
      (trim) =>
        prefix.startsWith(trim.prefix) && trim.version !== undefined && trim.version <= version,
    );
    return Math.max(0, ...own.map((trim) => trim.through));
  }

  #isAskedFor(prefix: string, through: number, version: number): boolean {
    return this.#trims.some((trim) => {
      if (!prefix.startsWith(trim.prefix)) return false;
      if (trim.version === undefined) return trim.through >= through;
      return trim.through === through && trim.version <= version;
    });
  }
}

function trimsOf({ operations, results, applied, outcome, version }: TableWrite): Trim[] {
  return operations.flatMap((operation, i) => {
    if (operation.do !== "trim" || (outcome === "ok" && applied !== true)) return [];
    const { prefix } = operation;
    if (outcome === "unknown") return [{ prefix, version: undefined, through: operation.through }];
    return [{ prefix, version, through: results![i]!.number }];
  });
}

/** The version through which a page leaves out rows that begin so. */
function forgottenThrough(read: TableRead, prefix: string): number {
  const own = (read.trims ?? []).filter(([trimmed]) => prefix.startsWith(trimmed));
  return Math.max(0, ...own.map(([, through]) => through));
}

/** The page leaves out this row when it was last written in `version`. */
export function leavesOut(read: TableRead, row: string, version: number): boolean {
  const covers = ([prefix, through]: SeenTrim) => row.startsWith(prefix) && version <= through;
  return read.trims?.some(covers) ?? false;
}
