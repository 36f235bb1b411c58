/**
 * Writes the monitors of this process into its points file (points.ts), one row a second.
 *
 * Node has no mmap. A row is written with one pwrite instead: what the kernel has taken is read by
 * everybody at once and survives the writer's kill -9, as a mapped page does, and unlike that no number on
 * the hot path has to live in shared memory. What a kill loses is the second that was not over. Nothing is
 * synced: after a power cut these seconds are of no use to anybody.
 */
import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { processBeat } from "../beat.ts";
import { sampledValues } from "./monitor.ts";
import { encodeHeader, encodeRow, fileBytes, type PointsHeader, rowPosition } from "./points.ts";
import { MONITORS } from "./table.ts";

const EVERY_MS = 1_000;
export const POINTS_SUFFIX = ".points";
/** Files of a process that are left after its start, the new one included: if nobody reads them, they go. */
const FILES_KEPT = 4;

interface Writer {
  readonly folder: string;
  /** "a/kvsvr" */
  readonly process: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class PointsFile {
  readonly #header: PointsHeader;
  readonly #now: () => number;
  readonly #path: string;
  #file: number | undefined;
  #end: (() => void) | undefined;
  #second = 0;

  constructor({ folder, process: name, now }: Writer) {
    const startedAtMs = now();
    const numbers = MONITORS.map(({ number }) => number).sort((a, b) => a - b);
    this.#header = { pid: process.pid, startedAtMs, process: name, numbers };
    this.#now = now;
    const prefix = `${name.replaceAll("/", ".")}.`;
    this.#path = join(folder, `${prefix}${startedAtMs}${POINTS_SUFFIX}`);
    // A disk that takes no more costs points, never a process.
    try {
      mkdirSync(folder, { recursive: true });
      removeOldest(folder, prefix);
      this.#open();
    } catch {
      this.close();
    }
  }

  get path(): string {
    return this.#path;
  }

  /** A row each second; the timer keeps no process alive. */
  start(): void {
    this.#end ??= processBeat.every(EVERY_MS, () => this.write());
  }

  /** The row of this second. */
  write(): void {
    const second = Math.floor(this.#now() / 1_000);
    if (second === this.#second) return;
    this.#second = second;
    const { numbers } = this.#header;
    const values = sampledValues();
    try {
      const file = this.#file ?? this.#open();
      writeSync(
        file,
        encodeRow(second, numbers, values),
        0,
        null,
        rowPosition(second, numbers.length),
      );
    } catch {
      this.#closeFile();
    }
  }

  close(): void {
    this.#end?.();
    this.#end = undefined;
    this.#closeFile();
  }

  #closeFile(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #open(): number {
    this.#file = openSync(this.#path, "w", 0o600);
    writeSync(this.#file, encodeHeader(this.#header), 0, null, 0);
    ftruncateSync(this.#file, fileBytes(this.#header.numbers.length));
    return this.#file;
  }
}

/** Files of a process that started long ago, which nobody has read. */
function removeOldest(folder: string, prefix: string): void {
  const old = readdirSync(folder)
    .filter((name) => name.startsWith(prefix) && name.endsWith(POINTS_SUFFIX))
    .sort();
  for (const name of old.slice(0, Math.max(0, old.length - FILES_KEPT + 1)))
    rmSync(join(folder, name), { force: true });
}
