/** The few things an engine asks of a file system, so that tests can make each of them fail. */
import { mkdir, open, readdir, unlink } from "node:fs/promises";
import { join } from "node:path";

export interface SegmentFile {
  size(): Promise<number>;
  read(position: number, length: number): Promise<Buffer>;
  write(bytes: Buffer, position: number): Promise<void>;
  datasync(): Promise<void>;
  truncate(size: number): Promise<void>;
  close(): Promise<void>;
}

export type Access = "read" | "write" | "create";

export interface SegmentFolder {
  /** Names of the files, sorted. */
  list(): Promise<string[]>;
  open(name: string, access: Access): Promise<SegmentFile>;
  remove(name: string): Promise<void>;
  /** Makes created and removed names durable. */
  sync(): Promise<void>;
}

const FLAGS = { read: "r", write: "r+", create: "w+" } as const;
const FILE_MODE = 0o600;

export class NodeFolder implements SegmentFolder {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async list(): Promise<string[]> {
    await mkdir(this.#path, { recursive: true }).catch(() => {}); // readdir says what is wrong
    return (await readdir(this.#path)).sort();
  }

  async open(name: string, access: Access): Promise<SegmentFile> {
    const handle = await open(join(this.#path, name), FLAGS[access], FILE_MODE);
    return {
      size: async () => (await handle.stat()).size,
      read: async (position, length) => {
        const bytes = Buffer.allocUnsafeSlow(length);
        let done = 0;
        while (done < length) {
          const { bytesRead } = await handle.read(bytes, done, length - done, position + done);
          if (bytesRead === 0) break;
          done += bytesRead;
        }
        return bytes.subarray(0, done);
      },
      write: async (bytes, position) => {
        let done = 0;
        while (done < bytes.length) {
          const { bytesWritten } = await handle.write(bytes, done, undefined, position + done);
          done += bytesWritten;
        }
      },
      datasync: () => handle.datasync(),
      truncate: (size) => handle.truncate(size),
      close: () => handle.close(),
    };
  }

  remove(name: string): Promise<void> {
    return unlink(join(this.#path, name));
  }

  async sync(): Promise<void> {
    const handle = await open(this.#path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }
}

/** Of an error: a server that keeps the bytes did not say that it has them. */
export const NO_ANSWER = "NO_ANSWER";

const REFUSALS = new Set(["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", NO_ANSWER]);

/** The storage takes no writes now, and may again later: nothing is broken. */
export function isRefusal(error: unknown): boolean {
  return REFUSALS.has((error as NodeJS.ErrnoException | undefined)?.code ?? "");
}
