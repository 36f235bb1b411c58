/** The system's files with faults on demand: slow syncs, or failing ones, writes that fail as a full disk's do. */
import type { Files, LogFile } from "../storage/files.ts";
import { systemFiles } from "../storage/files.ts";

export interface Faults {
  syncDelayMs: number;
  /** Error code that writes fail with, e.g. "ENOSPC"; undefined: they succeed. */
  writeError: string | undefined;
  /** The same of syncs. */
  syncError?: string | undefined;
}

export function faultyFiles(faults: Faults): Files {
  return {
    ...systemFiles,
    async open(path) {
      const file = await systemFiles.open(path);
      return withFaults(file, faults);
    },
  };
}

function injected(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

function withFaults(file: LogFile, faults: Faults): LogFile {
  return {
    size: () => file.size(),
    read: (into, position) => file.read(into, position),
    readNow: (into, position) => file.readNow(into, position),
    write(bytes, position) {
      if (faults.writeError !== undefined) throw injected(faults.writeError);
      file.write(bytes, position);
    },
    async sync() {
      if (faults.syncDelayMs > 0)
        await new Promise((resolve) => setTimeout(resolve, faults.syncDelayMs));
      if (faults.syncError !== undefined) throw injected(faults.syncError);
      await file.sync();
    },
    truncate: (length) => file.truncate(length),
    close: () => file.close(),
  };
}
