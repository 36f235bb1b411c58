/** A folder whose disk can refuse, fail or be slow. */
import type { Access, SegmentFile, SegmentFolder } from "../storage/files.ts";

export class FaultyFolder implements SegmentFolder {
  readonly #folder: SegmentFolder;
  /** Writes, and opening for writing, fail with this code; `partial` bytes get through. */
  refusal: { code: string; partial: number } | undefined;
  syncError: Error | undefined;
  syncDelayMs = 0;
  syncs = 0;

  constructor(folder: SegmentFolder) {
    this.#folder = folder;
  }

  list(): Promise<string[]> {
    return this.#folder.list();
  }

  remove(name: string): Promise<void> {
    return this.#folder.remove(name);
  }

  sync(): Promise<void> {
    return this.#folder.sync();
  }

  #check(): void {
    if (this.refusal === undefined) return;
    throw Object.assign(new Error(this.refusal.code), { code: this.refusal.code });
  }

  async open(name: string, access: Access): Promise<SegmentFile> {
    if (access !== "read") this.#check();
    const file = await this.#folder.open(name, access);
    return {
      size: () => file.size(),
      read: (position, length) => file.read(position, length),
      close: () => file.close(),
      truncate: async (size) => {
        this.#check();
        await file.truncate(size);
      },
      write: async (bytes, position) => {
        if (this.refusal !== undefined) {
          await file.write(bytes.subarray(0, this.refusal.partial), position);
        }
        this.#check();
        await file.write(bytes, position);
      },
      datasync: async () => {
        this.syncs += 1;
        if (this.syncDelayMs > 0) {
          await new Promise((resolve) => setTimeout(resolve, this.syncDelayMs));
        }
        if (this.syncError !== undefined) throw this.syncError;
        await file.datasync();
      },
    };
  }
}
