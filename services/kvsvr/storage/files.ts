/**
 * The few file operations the log needs, behind an interface: production uses the system's, tests
 * and the simulator put in one that delays, fails, tears or forgets.
 */
import { readSync, writeSync } from "node:fs";
import { type FileHandle, open, readdir, rename, unlink } from "node:fs/promises";
import { setAside, syncDir } from "../../svrkit/set-aside.ts";
import { systemTextFiles, type TextFiles } from "../../svrkit/text-files.ts";

export interface LogFile {
  size(): Promise<number>;
  /** Fills the buffer with what there is from a position on; tells how many bytes that were. */
  read(into: Buffer, position: number): Promise<number>;
  /** The same at once, of a few bytes that are in the page cache as a rule: as the state engine reads. */
  readNow(into: Buffer, position: number): number;
  /** Into the page cache, at once: a detour over a thread costs more than the copy. */
  write(bytes: Buffer, position: number): void;
  /** fdatasync: what was written before is on the disk when it resolves. */
  sync(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

export interface Files {
  /** Names in the directory. */
  list(dir: string): Promise<string[]>;
  /** Opens for reading and writing, creating it if need be. */
  open(path: string): Promise<LogFile>;
  remove(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Moves everything in the directory but `keep` into a new folder in it; made if need be. */
  setAside(dir: string, keep: string): Promise<void>;
  /** Makes creations, renames and removals in the directory durable. */
  syncDir(dir: string): Promise<void>;
  /** Who the replica is, and whom it has met. */
  readonly texts: TextFiles;
}

export const systemFiles: Files = {
  texts: systemTextFiles,
  list: (dir) => readdir(dir),
  async open(path) {
    // "a+" would force every write to the end; the log writes at positions it knows.
    const handle = await open(path, "r+").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return open(path, "w+", 0o600);
      throw error;
    });
    return {
      size: async () => (await handle.stat()).size,
      read: (into, position) => read(handle, into, position),
      readNow(into, position) {
        let done = 0;
        for (let more = -1; more !== 0 && done < into.length; done += more)
          more = readSync(handle.fd, into, done, into.length - done, position + done);
        return done;
      },
      write(bytes, position) {
        for (let done = 0; done < bytes.length; ) {
          done += writeSync(handle.fd, bytes, done, bytes.length - done, position + done);
        }
      },
      sync: () => handle.datasync(),
      truncate: (length) => handle.truncate(length),
      close: () => handle.close(),
    };
  },
  remove: (path) => unlink(path),
  rename: (from, to) => rename(from, to),
  setAside,
  syncDir,
};

/** A disk that fails, not one that is full. */
export function isBroken(error: unknown): error is Error {
  return error instanceof Error && "code" in error && error.code === "EIO";
}

/**
 * As `files`, but a small file's text that a broken disk may have or not ends the process: to go on with
 * what was there before, or to try again, would count on what nobody knows (S3).
 */
export function endingWhenBroken(files: Files, fatal: (error: Error) => void): Files {
  const { texts } = files;
  const thrown = (error: unknown): never => {
    if (isBroken(error)) fatal(error);
    throw error;
  };
  const replace = (path: string, text: string) => {
    try {
      texts.replace(path, text);
    } catch (error) {
      thrown(error);
    }
  };
  const replaceSoon = (path: string, text: string) => texts.replaceSoon(path, text).catch(thrown);
  return {
    list: (dir) => files.list(dir),
    open: (path) => files.open(path),
    remove: (path) => files.remove(path),
    rename: (from, to) => files.rename(from, to),
    setAside: (dir, keep) => files.setAside(dir, keep),
    syncDir: (dir) => files.syncDir(dir),
    texts: {
      read: (path) => texts.read(path),
      replace,
      replaceSoon,
      remove: (path) => texts.remove(path),
    },
  };
}

async function read(handle: FileHandle, into: Buffer, position: number): Promise<number> {
  let done = 0;
  while (done < into.length) {
    const left = into.length - done;
    const { bytesRead } = await handle.read(into, done, left, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}
