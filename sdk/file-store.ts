/**
 * A device's store as one append-only file, for Node. Messages stay in the file; in memory is only what a
 * book keeps of them, so that thousands of devices fit into one process.
 *
 * Writes are gathered for FLUSH_EVERY_MS. Before a snapshot goes back to the platform, which may forget then
 * what it stands for, the client flushes, and that waits for the disk. A line torn by a crash is cut off
 * when the file is opened; a damaged line anywhere else is an error, never skipped.
 */
import {
  closeSync,
  fdatasync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  write,
} from "node:fs";
import { promisify } from "node:util";
import { type DeviceLine, parseLine } from "./device-lines.ts";
import { FIRST_LINE, LineStore } from "./line-store.ts";
import { startTicking, type Ticking } from "./ticker.ts";

const FLUSH_EVERY_MS = 1_000;
const FLUSH_CHARACTERS = 64 * 1024;
/** What may wait for a disk that is slower than the platform. */
const PENDING_CHARACTERS_MAX = 64 * 1024 * 1024;

const writeAsync = promisify(write);
const fdatasyncAsync = promisify(fdatasync);

export interface FileStoreOptions {
  /**
   * true: what was flushed outlives a power cut of the device. false: the end of the process, no more; for
   * thousands of devices on one disk.
   */
  readonly outlivesPowerCuts?: boolean;
}

export class FileStore extends LineStore implements Ticking {
  readonly path: string;
  readonly #file: number;
  readonly #stopTicking: () => void;
  #pending = "";
  #flushAtMs = 0;
  /** The write under way. */
  #writing: Promise<void> | undefined;
  readonly #outlivesPowerCuts: boolean;
  /** What was written may not be on the disk; nor may what an earlier run left. */
  #isUnsynced = true;
  /** The sync of the disk under way. */
  #syncing: Promise<void> | undefined;
  #failure: Error | undefined;
  #closed = false;

  /** Opens or makes the file; throws when it cannot be used or is damaged. */
  constructor(path: string, { outlivesPowerCuts = true }: FileStoreOptions = {}) {
    super();
    this.path = path;
    this.#outlivesPowerCuts = outlivesPowerCuts;
    this.#file = openSync(path, "a+", 0o600);
    const { lines, goodBytes, bytes } = readLines(path);
    if (goodBytes < bytes) ftruncateSync(this.#file, goodBytes);
    for (const line of lines) this.restore(line);
    if (goodBytes === 0) this.append(FIRST_LINE);
    this.#stopTicking = startTicking(this);
  }

  protected override async read(): Promise<DeviceLine[]> {
    await this.#drain();
    return readLines(this.path).lines;
  }

  override async flush(): Promise<void> {
    await this.#drain();
    if (!this.#outlivesPowerCuts) return;
    while (this.#syncing !== undefined || this.#isUnsynced) await this.#sync();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Everything is written, and need not be on the disk. */
  async #drain(): Promise<void> {
    while (this.#writing !== undefined || this.#pending !== "") await this.#write();
    if (this.#failure !== undefined) throw this.#failure;
  }

  override async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopTicking();
    try {
      await this.flush();
    } finally {
      closeSync(this.#file);
    }
  }

  tick(nowMs: number): void {
    if (this.#pending === "" || nowMs < this.#flushAtMs) return;
    this.#flushAtMs = nowMs + FLUSH_EVERY_MS;
    void this.#write();
  }

  protected override append(line: string): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) throw new Error(`${this.path} is closed`);
    this.#pending += `${line}\n`;
    if (this.#pending.length <= FLUSH_CHARACTERS) return;
    if (this.#pending.length > PENDING_CHARACTERS_MAX)
      throw new Error(`${this.path}: the disk is too slow`);
    void this.#write();
  }

  /** Not in the way of the event loop: a disk that others keep busy may take its time. */
  #write(): Promise<void> {
    this.#writing ??= this.#writePending().finally(() => {
      this.#writing = undefined;
    });
    return this.#writing;
  }

  async #writePending(): Promise<void> {
    const bytes = Buffer.from(this.#pending);
    this.#pending = "";
    if (this.#failure !== undefined) return;
    try {
      for (let at = 0; at < bytes.length; )
        at += (await writeAsync(this.#file, bytes, at)).bytesWritten;
      this.#isUnsynced = true;
    } catch (error) {
      this.#failed(error);
    }
  }

  #sync(): Promise<void> {
    this.#syncing ??= this.#syncWritten().finally(() => {
      this.#syncing = undefined;
    });
    return this.#syncing;
  }

  /** A disk that failed once may say yes the next time to what it has lost: it is not asked again. */
  async #syncWritten(): Promise<void> {
    this.#isUnsynced = false;
    try {
      await fdatasyncAsync(this.#file);
    } catch (error) {
      this.#failed(error);
    }
  }

  #failed(cause: unknown): void {
    this.#failure ??= new Error(`${this.path} cannot be written`, { cause });
  }
}

/** All lines of a device's file, for whoever checks what devices have; a torn last line is left out. */
export function readDeviceFile(path: string): DeviceLine[] {
  return readLines(path).lines;
}

function readLines(path: string): { lines: DeviceLine[]; goodBytes: number; bytes: number } {
  const content = statSync(path).size === 0 ? Buffer.alloc(0) : readFileSync(path);
  const lines: DeviceLine[] = [];
  let start = 0;
  for (let end = content.indexOf(10); end >= 0; end = content.indexOf(10, start)) {
    const line = parseLine(content.toString("utf8", start, end), `${path}, byte ${start}`);
    if (line !== undefined) lines.push(line);
    start = end + 1;
  }
  return { lines, goodBytes: start, bytes: content.length };
}
