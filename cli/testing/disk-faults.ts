/**
 * Loaded into every process of a test's platform with NODE_OPTIONS=--import: while the file named by
 * TRICAMPUS_TEST_DISK_FAULT holds an error code (ENOSPC, EROFS), what the processes write through Node
 * fails with it. Nothing in the platform knows of this; what LMDB writes natively goes on.
 */
import fs from "node:fs";
import { open } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";

const path = process.env.TRICAMPUS_TEST_DISK_FAULT ?? "";
const LOOK_EVERY_MS = 50;

let code = "";
let lookedMs = Number.NEGATIVE_INFINITY;

function failIfTold(): void {
  if (performance.now() - lookedMs > LOOK_EVERY_MS) {
    lookedMs = performance.now();
    try {
      code = fs.readFileSync(path, "utf8").trim();
    } catch {
      code = "";
    }
  }
  if (code !== "") throw Object.assign(new Error(`${code}: injected by a test`), { code });
}

const { writeSync, openSync } = fs;
fs.writeSync = ((fd: number, ...rest: unknown[]) => {
  // Pipes to the supervisor are no disk.
  if (fs.fstatSync(fd).isFile()) failIfTold();
  return (writeSync as (...all: unknown[]) => number)(fd, ...rest);
}) as typeof fs.writeSync;
fs.openSync = ((file: fs.PathLike, flags?: fs.OpenMode, mode?: fs.Mode) => {
  if (typeof flags === "string" && /[wa+]/.test(flags)) failIfTold();
  return openSync(file, flags ?? "r", mode);
}) as typeof fs.openSync;
syncBuiltinESMExports();

const handle = await open(import.meta.filename, "r");
const prototype = Object.getPrototypeOf(handle) as typeof handle;
await handle.close();
const { write } = prototype;
prototype.write = async function (this: typeof handle, ...given: unknown[]) {
  failIfTold();
  return (write as (...all: unknown[]) => Promise<never>).apply(this, given);
} as typeof write;
