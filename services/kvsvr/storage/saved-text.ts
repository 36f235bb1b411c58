/**
 * A small file that is replaced as a whole while others wait for nothing: one write at a time, and
 * what comes while one is under way goes into the next together.
 */
import type { TextFiles } from "../../svrkit/text-files.ts";

export class SavedText {
  readonly #path: string;
  readonly #files: TextFiles;
  /** What is durable; undefined: there is no file. */
  #saved: string | undefined;
  #newest: string | undefined;
  #stopped = false;
  #writing: Promise<void> = Promise.resolve();

  constructor(path: string, files: TextFiles) {
    this.#path = path;
    this.#files = files;
    this.#saved = files.read(path);
  }

  get saved(): string | undefined {
    return this.#saved;
  }

  /** Only before the first `save`. */
  saveNow(text: string): void {
    this.#files.replace(this.#path, text);
    this.#saved = text;
  }

  /** Resolves when this text, or a newer one, is durable. */
  save(text: string): Promise<void> {
    this.#newest = text;
    const written = this.#writing.then(() => this.#write());
    this.#writing = written.catch(() => {}); // whoever asked hears of it
    return written;
  }

  /** Nothing more is written to the disk: what was asked for is there, or has failed. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#stopped) throw new Error("this replica is stopping");
    const text = this.#newest!;
    if (text === this.#saved) return;
    await this.#files.replaceSoon(this.#path, text);
    this.#saved = text;
  }
}
