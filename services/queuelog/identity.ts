/** Who a log is, durably, and what it remembers of the two others of its group. */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { KnownLog } from "./protocol/introduction.ts";

/** A file that permits an empty folder to become a log's disk, once. */
export const LOG_BOOTSTRAP_FILE = "bootstrap";
const DISK_FILE = "disk-id";
const MET_FILE = "logs-met.json";

const metSchema = z.record(
  z.string(),
  z.strictObject({ diskId: z.string(), segment: z.int(), bytes: z.int() }),
);

/** The id of the disk in `dir`; undefined when it has none and nobody permitted it to get one. */
export function openDisk(dir: string): string | undefined {
  mkdirSync(dir, { recursive: true });
  const path = join(dir, DISK_FILE);
  const permit = join(dir, LOG_BOOTSTRAP_FILE);
  if (!existsSync(path)) {
    // Logs that are older than disk ids have segment files and need no permit.
    const isOlder = readdirSync(dir).some((name) => name.endsWith(".log"));
    if (!isOlder && !existsSync(permit)) return undefined;
    writeDurably(dir, DISK_FILE, randomBytes(16).toString("hex"));
  }
  if (existsSync(permit)) unlinkSync(permit);
  return readFileSync(path, "utf8").trim();
}

/** What is remembered of other logs, by campus. */
export class LogsMet {
  readonly #dir: string;
  readonly #met: Map<string, KnownLog>;

  constructor(dir: string) {
    this.#dir = dir;
    const path = join(dir, MET_FILE);
    const stored = existsSync(path) ? metSchema.parse(JSON.parse(readFileSync(path, "utf8"))) : {};
    this.#met = new Map(Object.entries(stored));
  }

  get(campus: string): KnownLog | undefined {
    return this.#met.get(campus);
  }

  /** Durable when it returns. */
  remember(campus: string, log: KnownLog): void {
    const { diskId, segment, bytes } = log;
    const before = this.#met.get(campus);
    if (before?.segment === segment && before.bytes === bytes) return;
    const met = new Map(this.#met).set(campus, { diskId, segment, bytes });
    writeDurably(this.#dir, MET_FILE, JSON.stringify(Object.fromEntries(met)));
    this.#met.set(campus, { diskId, segment, bytes });
  }
}

function writeDurably(dir: string, name: string, text: string): void {
  const temporary = join(dir, `${name}.new`);
  const file = openSync(temporary, "w", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, join(dir, name));
  const folder = openSync(dir, "r");
  fsyncSync(folder);
  closeSync(folder);
}
