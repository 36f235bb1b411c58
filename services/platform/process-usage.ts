/** What the kernel counts for a process, ours or another's, from /proc. */
import { readFileSync } from "node:fs";

export interface Usage {
  /** User and system time of all threads. */
  readonly cpuUs: number;
  /** Bytes that the process caused to be written to storage. */
  readonly writtenBytes: number;
}

/** USER_HZ, which is 100 on every Linux. */
const TICK_US = 10_000;
/** Fields of /proc/PID/stat behind the command's name. */
const UTIME = 11;
const STIME = 12;

export function usageOf(pid: number): Usage {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const io = readFileSync(`/proc/${pid}/io`, "utf8");
  const written = /^write_bytes: (\d+)$/m.exec(io)?.[1];
  return {
    cpuUs: (Number(fields[UTIME]) + Number(fields[STIME])) * TICK_US,
    writtenBytes: Number(written ?? 0),
  };
}

export function usageOfAll(pids: readonly number[]): Usage {
  const usages = pids.map(usageOf);
  return {
    cpuUs: usages.reduce((sum, usage) => sum + usage.cpuUs, 0),
    writtenBytes: usages.reduce((sum, usage) => sum + usage.writtenBytes, 0),
  };
}

/** What of a process lies in memory. */
export function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1_024;
}
