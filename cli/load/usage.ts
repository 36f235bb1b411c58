/** What a load costs: CPU and memory of every process, and what the store was asked to decide. */
import type { Platform } from "../../services/platform/platform.ts";
import { residentBytes, usageOf } from "../../services/platform/process-usage.ts";
import { Inspector } from "../connect.ts";

/** A change that a group of replicas decided: one quorum write, whoever asked for it. */
const QUORUM_WRITES = "kvsvr.versions_decided";
const GENERATOR = "generator";

export interface ProcessUse {
  readonly name: string;
  /** Percent of one core. */
  readonly cpuPercent: number;
  readonly rssMib: number;
  /** How much that is more than at the first look. */
  readonly grownMib: number;
}

export interface Use {
  /** Of the platform's processes, all together. */
  readonly platformCpuUs: number;
  /** Undefined: not every process said how many. */
  readonly quorumWrites: number | undefined;
  readonly processes: readonly ProcessUse[];
}

interface ProcessLook {
  readonly pid: number;
  readonly cpuUs: number;
  readonly rssBytes: number;
  /** Since it, or the one before it, began to count; undefined: it did not say. */
  readonly quorumWrites: number | undefined;
}

interface Look {
  readonly atMs: number;
  /** By name. */
  readonly processes: ReadonlyMap<string, ProcessLook>;
}

export class UsageMeter {
  readonly #platform: Platform;
  readonly #inspector: Inspector;
  readonly #generators: readonly number[];
  #first: Look | undefined;
  #begin: Look | undefined;

  constructor(platform: Platform, generators: readonly number[]) {
    this.#platform = platform;
    this.#inspector = new Inspector(platform);
    this.#generators = generators;
  }

  /** What is used from here on. */
  async begin(): Promise<void> {
    this.#begin = await this.#look();
    this.#first ??= this.#begin;
  }

  /** Since `begin`. A process that was started anew meanwhile counts from its start. */
  async end(): Promise<Use> {
    const { atMs, processes } = this.#begin!;
    const now = await this.#look();
    let platformCpuUs = 0;
    let quorumWrites: number | undefined = 0;
    const uses = [...now.processes].map(([name, look]): ProcessUse => {
      const before = processes.get(name);
      const isSame = before?.pid === look.pid;
      const usedUs = look.cpuUs - (isSame ? before.cpuUs : 0);
      if (!name.startsWith(GENERATOR)) platformCpuUs += usedUs;
      quorumWrites = addUp(quorumWrites, before?.quorumWrites ?? 0, look.quorumWrites);
      const first = this.#first?.processes.get(name)?.rssBytes ?? look.rssBytes;
      return {
        name,
        cpuPercent: Math.round(usedUs / 10 / (now.atMs - atMs)),
        rssMib: Math.round(look.rssBytes / 2 ** 20),
        grownMib: Math.round((look.rssBytes - first) / 2 ** 20),
      };
    });
    return { platformCpuUs, quorumWrites, processes: uses };
  }

  stop(): void {
    this.#inspector.stop();
  }

  async #look(): Promise<Look> {
    const reports = await this.#platform.reports();
    const known = reports.flatMap(({ processes }) => processes);
    const statuses = await this.#inspector.statuses(new Set(known.map(({ name }) => name)));
    const generators = this.#generators.map((pid, index) => ({
      name: `${GENERATOR} ${index}`,
      pid,
    }));
    const processes = new Map<string, ProcessLook>();
    for (const { name, pid } of [...known, ...generators]) {
      const monitors = statuses.get(name)?.monitors;
      const decided = monitors?.find((one) => one.name === QUORUM_WRITES)?.value ?? 0;
      const isSilent = monitors === undefined && !name.startsWith(GENERATOR);
      const quorumWrites = isSilent ? undefined : decided;
      try {
        const { cpuUs } = usageOf(pid);
        processes.set(name, { pid, cpuUs, rssBytes: residentBytes(pid), quorumWrites });
      } catch {
        // It is gone, or this system has no /proc: it is left out.
      }
    }
    return { atMs: performance.now(), processes };
  }
}

function addUp(sum: number | undefined, before: number, now: number | undefined) {
  if (sum === undefined || now === undefined) return undefined;
  return sum + (now >= before ? now - before : now);
}
