/**
 * Parts as files in a folder of one campus: `<2 digits>/<media id>/<hash>`. A part appears complete, by a
 * rename, or not at all. The folder's file system decides how much there is room for.
 */
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { RpcError } from "../../../svrkit/errors.ts";
import { type PartEngine, partName, requireMediaName } from "./engine.ts";

const SHELF_DIGITS = 2;
const DROP_RETRIES_MAX = 10;
/** From one to the next it is longer by this. */
const DROP_RETRY_MS = 10;
const TEMPORARY = /\.new$/;

export class FileParts implements PartEngine {
  readonly isShared: boolean = false;
  readonly #dir: string;
  /** Makes names of temporary files differ. */
  #writes = 0;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async put(mediaId: string, hash: Uint8Array, data: Uint8Array): Promise<void> {
    const path = this.#path(mediaId, hash);
    const folder = dirname(path);
    this.#writes += 1;
    const temporary = `${path}.${process.pid}-${this.#writes}.new`;
    try {
      const made = await mkdir(folder, { recursive: true });
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.writeFile(data);
        await file.datasync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      await syncFolder(folder);
      // The first part of a medium: its folder must be there after a power cut, too.
      if (made !== undefined) await syncFolders(dirname(made), folder);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw refusedByDisk(error);
    }
  }

  async get(mediaId: string, hash: Uint8Array): Promise<Buffer | undefined> {
    return readFile(this.#path(mediaId, hash)).catch(undefinedIfAbsent);
  }

  async has(mediaId: string, hash: Uint8Array): Promise<boolean> {
    return (await stat(this.#path(mediaId, hash)).catch(undefinedIfAbsent)) !== undefined;
  }

  async remove(mediaId: string, hash: Uint8Array): Promise<void> {
    await rm(this.#path(mediaId, hash), { force: true });
  }

  async drop(mediaId: string): Promise<void> {
    // A part that is being stored may appear in the folder just as it is to go.
    const again = { maxRetries: DROP_RETRIES_MAX, retryDelay: DROP_RETRY_MS };
    await rm(this.#folder(mediaId), { recursive: true, force: true, ...again });
  }

  async list(after: string, limit: number): Promise<string[]> {
    const found: string[] = [];
    for (const shelf of await namesIn(this.#dir)) {
      if (shelf < after.slice(0, SHELF_DIGITS)) continue;
      for (const mediaId of await namesIn(join(this.#dir, shelf))) {
        if (mediaId <= after) continue;
        found.push(mediaId);
        if (found.length === limit) return found;
      }
    }
    return found;
  }

  #folder(mediaId: string): string {
    return join(this.#dir, requireMediaName(mediaId).slice(0, SHELF_DIGITS), mediaId);
  }

  #path(mediaId: string, hash: Uint8Array): string {
    return join(this.#folder(mediaId), partName(mediaId, hash));
  }
}

async function namesIn(dir: string): Promise<string[]> {
  const names = (await readdir(dir).catch(undefinedIfAbsent)) ?? [];
  return names.filter((name) => !TEMPORARY.test(name)).sort();
}

/** Every folder from the innermost up to the one that stood before. */
async function syncFolders(outermost: string, innermost: string): Promise<void> {
  for (let dir = innermost; dir.length > outermost.length; ) {
    dir = dirname(dir);
    await syncFolder(dir);
  }
}

async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function undefinedIfAbsent(error: NodeJS.ErrnoException): undefined {
  if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
  throw error;
}

function refusedByDisk(error: unknown): unknown {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT") {
    return new RpcError(
      "UNAVAILABLE",
      "the medium was deleted while a part of it was stored: retry",
    );
  }
  const isRefused = ["ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "ENOTDIR"].includes(
    code,
  );
  return isRefused
    ? new RpcError("STORAGE_REFUSED", `media cannot be stored here: ${message}`, { cause: error })
    : error;
}
