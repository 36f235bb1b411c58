/** Where everything lies below the data folder, and how small state files are written whole. */
import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A Unix socket's path may have 107 bytes (104 on some systems). */
const SOCKET_PATH_BYTES_MAX = 100;

export const paths = {
  platform: (dataDir: string) => join(dataDir, "platform.json"),
  secrets: (dataDir: string) => join(dataDir, "secrets"),
  cli: (dataDir: string) => join(dataDir, "cli"),
  campus: (dataDir: string, campus: string) => join(dataDir, campus),
  /** The supervisor's account of itself and of its processes. */
  campusState: (dataDir: string, campus: string) => join(dataDir, campus, "supervisor.json"),
  logs: (dataDir: string, campus: string) => join(dataDir, campus, "logs"),
  /** `process`: "a/logic" */
  log: (dataDir: string, process: string) => {
    const [campus, name] = process.split("/");
    return join(dataDir, campus!, "logs", `${name}.log`);
  },
  processConfig: (dataDir: string, process: string) => {
    const [campus, name] = process.split("/");
    return join(dataDir, campus!, "run", `${name}.json`);
  },
  /** A process's own copy of the last limits that it could use. */
  limitsCopy: (dataDir: string, process: string) => {
    const [campus, name] = process.split("/");
    return join(dataDir, campus!, "run", `${name}.limits.json`);
  },
  /** A process's own copy of what is blocked. */
  blocks: (dataDir: string, process: string) => {
    const [campus, name] = process.split("/");
    return join(dataDir, campus!, "run", `${name}.blocks.json`);
  },
  /** Limits that people change while processes run; the file need not be there. */
  limits: (dataDir: string) => join(dataDir, "limits.json"),
  /** Reports of drills, a folder each. */
  drills: (dataDir: string) => join(dataDir, "drills"),
  /** What the monitors of a campus's processes stood at, second by second. */
  points: (dataDir: string, campus: string) => join(dataDir, campus, "monitors"),
  /** The supervisor's door; in the temporary folder when the data folder's path is too long. */
  control: (dataDir: string, campus: string) => {
    const path = join(dataDir, campus, "control.sock");
    if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return path;
    const digest = createHash("sha256").update(path).digest("hex").slice(0, 20);
    return join(tmpdir(), `tricampus-${digest}.sock`);
  },
};

/** Replaces a JSON file in one step: a reader sees the old one or the new one. */
export function writeJson(path: string, value: unknown): void {
  const temporary = `${path}.${process.pid}.new`;
  const file = openSync(temporary, "w", 0o600);
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, path);
}

/** The file's value; undefined when there is no such file. */
export function readJson<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new Error(`${path} cannot be read: ${(error as Error).message}`);
  }
}
