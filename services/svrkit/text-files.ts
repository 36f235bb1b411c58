/**
 * Small files that are read and replaced as a whole (an incarnation, a disk's id), behind an
 * interface: production uses the system's, the simulator puts in disks that crash.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";

export interface TextFiles {
  /** undefined: there is no such file. */
  read(path: string): string | undefined;
  /** The old text or the new one, never a part; durable when it returns. Makes the folder if need be. */
  replace(path: string, text: string): void;
  /** The same beside everything else; one at a time for a path. Durable when it resolves. */
  replaceSoon(path: string, text: string): Promise<void>;
  remove(path: string): void;
}

export const systemTextFiles: TextFiles = {
  read(path) {
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  },
  replace(path, text) {
    const dir = dirname(path);
    mkdirSync(dir, { recursive: true });
    const temporary = `${path}.new`;
    const file = openSync(temporary, "w", 0o600);
    try {
      // All of it or an error: one write to a nearly full disk takes a part, and says nothing.
      writeFileSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
    const folder = openSync(dir, "r");
    fsyncSync(folder);
    closeSync(folder);
  },
  async replaceSoon(path, text) {
    const dir = dirname(path);
    await mkdir(dir, { recursive: true });
    const temporary = `${path}.new`;
    const file = await open(temporary, "w", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
    const folder = await open(dir, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  remove: (path) => rmSync(path, { force: true }),
};
