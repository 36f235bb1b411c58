/**
 * The log of one process, as its supervisor writes it: bounded to two files of 10 MB. A disk that
 * takes no more costs log lines, never a process.
 */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname } from "node:path";

const BYTES_MAX = 10 * 1024 * 1024;

export class LogFile {
  readonly #path: string;
  readonly #bytesMax: number;
  #file: number | undefined;
  #bytes = 0;
  /** Bytes that could not be written. */
  lostBytes = 0;

  constructor(path: string, bytesMax = BYTES_MAX) {
    this.#path = path;
    this.#bytesMax = bytesMax;
  }

  append(chunk: string | Buffer): void {
    const bytes = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    try {
      const file = this.#room(bytes.length);
      this.#bytes += writeSync(file, bytes);
    } catch {
      this.lostBytes += bytes.length;
      this.close();
    }
  }

  close(): void {
    if (this.#file === undefined) return;
    closeSync(this.#file);
    this.#file = undefined;
  }

  /** The open file, changed for a new one when `more` would be too much for it. */
  #room(more: number): number {
    if (this.#file !== undefined && this.#bytes > 0 && this.#bytes + more > this.#bytesMax) {
      this.close();
      renameSync(this.#path, `${this.#path}.1`);
    }
    if (this.#file === undefined) {
      mkdirSync(dirname(this.#path), { recursive: true });
      this.#file = openSync(this.#path, "a", 0o600);
      this.#bytes = fstatSync(this.#file).size;
    }
    return this.#file;
  }
}
