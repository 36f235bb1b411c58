/**
 * A power cut below the engine: of what killed processes wrote, only what was synced is sure to be left.
 * The writes since then lie in the journals of unsynced-writes.c; each file is put back to what was
 * durable, and then given as much of the rest as a disk might have taken by itself: nothing, all, the
 * first writes with the last one torn, or single sectors in any order. Half of the cuts take everything
 * from every disk: what one copy of three happened to keep would hide that none was sure to.
 */
import { execFileSync } from "node:child_process";
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Random } from "../../services/svrkit/seeded-random.ts";

const SOURCE = join(import.meta.dirname, "unsynced-writes.c");
const SECTOR_BYTES = 512;
const HEAD_BYTES = 40;
const KINDS = ["write", "truncate"] as const;

interface Change {
  readonly kind: (typeof KINDS)[number];
  /** It was on the disk when it returned. */
  readonly durable: boolean;
  readonly at: number;
  readonly sizeBefore: number;
  readonly before: Buffer;
  readonly after: Buffer;
}

export interface Loss {
  /** Files that had something to lose. */
  readonly files: number;
  /** Bytes written and not synced, before anything of them was kept. */
  readonly unsynced: number;
}

/**
 * Builds the library that notes writes; returns what a process's environment needs to load it. Each sync
 * takes `syncMs` longer than the machine's own.
 */
export function buildNotes(
  into: string,
  syncMs = 0,
): (disk: string, journals: string) => NodeJS.ProcessEnv {
  const library = join(into, "unsynced-writes.so");
  execFileSync("cc", ["-O1", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-lpthread"]);
  return (disk, journals) => ({
    LD_PRELOAD: library,
    TORTURE_DISK: disk,
    TORTURE_JOURNAL: journals,
    TORTURE_SYNC_MS: String(syncMs),
    // Through io_uring writes would pass unseen.
    UV_USE_IO_URING: "0",
  });
}

/** Bytes that a power cut would endanger now. */
export function unsyncedBytes(journals: string): number {
  return readdirSync(journals).reduce((sum, name) => {
    const changes = readChanges(join(journals, name)).filter(({ durable }) => !durable);
    return sum + changes.reduce((bytes, { after }) => bytes + after.length, 0);
  }, 0);
}

/**
 * Takes back what was not synced: all of it, or what is drawn for each file. No process may have the
 * files open.
 */
export function cutPower(
  { disk, journals }: { disk: string; journals: string },
  takesAll: boolean,
  random: Random,
): Loss {
  const paths = pathsByInode(disk);
  let files = 0;
  const unsynced = unsyncedBytes(journals);
  for (const name of readdirSync(journals).sort()) {
    const journal = join(journals, name);
    const changes = readChanges(journal);
    const path = paths.get(name);
    if (path !== undefined && changes.some(({ durable }) => !durable)) {
      files += 1;
      rewrite(path, changes, takesAll ? changes.filter(isDurable) : whatSurvives(changes, random));
    }
    rmSync(journal);
  }
  return { files, unsynced };
}

function pathsByInode(disk: string): Map<string, string> {
  const paths = new Map<string, string>();
  for (const entry of readdirSync(disk, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) paths.set(String(statSync(path).ino), path);
  }
  return paths;
}

/** What is not durable yet, and what became durable after it, in order. */
function readChanges(journal: string): Change[] {
  const bytes = readFileSync(journal);
  const changes: Change[] = [];
  if (bytes.length < 8) return changes;
  for (let at = Number(bytes.readBigUInt64LE(0)); at + HEAD_BYTES <= bytes.length; ) {
    const number = (offset: number) => Number(bytes.readBigUInt64LE(at + offset));
    const kind = KINDS[bytes.readUInt32LE(at) - 1];
    const beforeAt = at + HEAD_BYTES;
    const afterAt = beforeAt + number(24);
    const end = afterAt + number(32);
    // The process was killed while it noted this one: it never happened.
    if (kind === undefined || end > bytes.length) break;
    changes.push({
      kind,
      durable: bytes.readUInt32LE(at + 4) === 1,
      at: number(8),
      sizeBefore: number(16),
      before: bytes.subarray(beforeAt, afterAt),
      after: bytes.subarray(afterAt, end),
    });
    at = end;
  }
  return changes;
}

function isDurable({ durable }: Change): boolean {
  return durable;
}

function rewrite(path: string, changes: readonly Change[], surviving: readonly Change[]): void {
  const file = openSync(path, "r+");
  try {
    for (const change of changes.toReversed()) {
      writeSync(file, change.before, 0, change.before.length, change.at);
      ftruncateSync(file, change.sizeBefore);
    }
    for (const change of surviving) apply(file, change);
  } finally {
    closeSync(file);
  }
}

function apply(file: number, { kind, at, after }: Change): void {
  if (kind === "truncate") ftruncateSync(file, at);
  else {
    const { size } = fstatSync(file);
    // A lost write in front of this one leaves zeros.
    if (size < at) ftruncateSync(file, at);
    writeSync(file, after, 0, after.length, at);
  }
}

function whatSurvives(changes: readonly Change[], random: Random): Change[] {
  const mode = random.pick(["all", "first", "sectors"] as const);
  const count = mode === "first" ? random.index(changes.length + 1) : changes.length;
  return changes.flatMap((change, i) => {
    if (change.durable) return [change];
    if (i >= count) return [];
    if (mode === "all" || change.kind === "truncate") return [change];
    if (mode === "sectors") return someSectors(change, random);
    return [i < count - 1 ? change : cut(change, random)];
  });
}

function cut(change: Change, random: Random): Change {
  return { ...change, after: change.after.subarray(0, random.index(change.after.length + 1)) };
}

function someSectors(change: Change, random: Random): Change[] {
  const { at, after } = change;
  const kept: Change[] = [];
  for (let from = 0; from < after.length; ) {
    const end = Math.min(after.length, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES));
    if (random.chance(0.5))
      kept.push({ ...change, at: at + from, after: after.subarray(from, end) });
    from = end;
  }
  return kept;
}
