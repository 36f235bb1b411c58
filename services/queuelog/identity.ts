/** Who a log is, durably, and what it remembers of the two others of its group. */
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { comparePositions, type KnownDisk } from "../svrkit/known-disk.ts";
import { systemTextFiles } from "../svrkit/text-files.ts";

/** A file that permits an empty folder to become a log's disk, once. */
export const LOG_BOOTSTRAP_FILE = "bootstrap";
export const DISK_FILE = "disk-id";
const DISK_ID_BYTES = 16;
const MET_FILE = "logs-met.json";

const metSchema = z.record(
  z.string(),
  z.strictObject({ diskId: z.string(), segment: z.int(), bytes: z.int() }),
);

/** The id of the disk in `dir`; undefined when it has none and nobody permitted it to get one. */
export async function openDisk(dir: string): Promise<string | undefined> {
  await mkdir(dir, { recursive: true });
  const names = await readdir(dir);
  const isPermitted = names.includes(LOG_BOOTSTRAP_FILE);
  if (!names.includes(DISK_FILE)) {
    // Logs that are older than disk ids have segment files and need no permit.
    const isOlder = names.some((name) => name.endsWith(".log"));
    if (!isOlder && !isPermitted) return undefined;
    await systemTextFiles.replaceSoon(join(dir, DISK_FILE), newDiskId());
  }
  if (isPermitted) await rm(join(dir, LOG_BOOTSTRAP_FILE));
  return (await readFile(join(dir, DISK_FILE), "utf8")).trim();
}

export function newDiskId(): string {
  return randomBytes(DISK_ID_BYTES).toString("hex");
}

/** What is remembered of other logs, by campus. */
export class LogsMet {
  readonly #dir: string;
  readonly #met: Map<string, KnownDisk>;
  /** One write at a time: each holds everything. */
  #writing: Promise<void> = Promise.resolve();

  private constructor(dir: string, met: Map<string, KnownDisk>) {
    this.#dir = dir;
    this.#met = met;
  }

  static async open(dir: string): Promise<LogsMet> {
    const text = await readFile(join(dir, MET_FILE), "utf8").catch((error) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return "{}";
      throw error;
    });
    return new LogsMet(dir, new Map(Object.entries(metSchema.parse(JSON.parse(text)))));
  }

  get(campus: string): KnownDisk | undefined {
    return this.#met.get(campus);
  }

  /** Resolves when nothing is being written that was to be remembered before. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  /** Durable when it resolves. Of a disk that is known a position that is passed already stays. */
  remember(campus: string, log: KnownDisk): Promise<void> {
    const written = this.#writing.then(() => this.#write(campus, log));
    this.#writing = written.catch(() => {}); // whoever asked hears of it
    return written;
  }

  async #write(campus: string, { diskId, segment, bytes }: KnownDisk): Promise<void> {
    const log = { diskId, segment, bytes };
    const before = this.#met.get(campus);
    if (before?.diskId === diskId && comparePositions(log, before) <= 0) return;
    const met = new Map(this.#met).set(campus, log);
    const text = JSON.stringify(Object.fromEntries(met));
    await systemTextFiles.replaceSoon(join(this.#dir, MET_FILE), text);
    this.#met.set(campus, log);
  }
}
