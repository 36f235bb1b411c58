/**
 * Keeps the processes of one campus alive.
 *
 *   starting -> ready -> (ended) -> resting -> starting ...        any -> stopped, on command only
 *
 * The supervisor and its processes are one process group: killing the group is losing the campus.
 * When the supervisor alone is killed, its processes notice (their IPC channel closes) and end too.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { setPriority } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { LogFile } from "./log-file.ts";
import { paths, writeJson } from "./paths.ts";
import type { ProcessConfig } from "./process-config.ts";
import { signal, waitUntilGone } from "./process-facts.ts";
import { planRestart } from "./restart-policy.ts";
import { LESS_URGENT } from "./services.ts";

interface ProcessState {
  readonly name: string;
  readonly state: "starting" | "ready" | "resting" | "stopped";
  /** 0 while there is none. */
  readonly pid: number;
  readonly restarts: number;
  readonly startedAtMs: number;
  /** Why the one before ended; empty when none did. */
  readonly lastEnd: string;
}

export interface CampusState {
  readonly campus: string;
  /** The supervisor's, which is also the process group's. */
  readonly pid: number;
  readonly startedAtMs: number;
  readonly cut: boolean;
  readonly processes: readonly ProcessState[];
}

interface Supervised {
  readonly name: string;
  readonly configPath: string;
  readonly isLessUrgent: boolean;
  readonly log: LogFile;
  state: ProcessState["state"];
  child: ChildProcess | undefined;
  restarts: number;
  earlyDeaths: number;
  startedAtMs: number;
  lastEnd: string;
  timer: NodeJS.Timeout | undefined;
}

/** Entry of every process. */
const PROCESS_MAIN = fileURLToPath(new URL("main.ts", import.meta.url));
/**
 * One thread for the garbage collector beside the event loop: by default every process has four, and a
 * dozen processes on a few cores kept event loops waiting for them, up to a second. Young objects get
 * twice the usual room (MiB), so that fewer of those that die soon are taken for old ones.
 */
export const V8_FLAGS = ["--v8-pool-size=1", "--max-semi-space-size=32"];
/** Longer than a process gives itself to stop (svrkit/lifecycle.ts). */
const STOP_TIMEOUT_MS = 9_000;
const BORDER_TIMEOUT_MS = 1_000;
const LESS_URGENT_NICENESS = 10;

export class CampusSupervisor {
  readonly #campus: string;
  readonly #dataDir: string;
  readonly #say: (text: string) => void;
  readonly #startedAtMs = Date.now();
  #processes: Supervised[];
  #cut = false;
  #stopping = false;

  constructor(campus: string, options: { dataDir: string; say: (text: string) => void }) {
    this.#campus = campus;
    this.#dataDir = options.dataDir;
    this.#say = options.say;
    this.#processes = [];
  }

  start(configs: readonly ProcessConfig[]): void {
    const added = configs.map((config): Supervised => {
      const configPath = paths.processConfig(this.#dataDir, config.name);
      mkdirSync(dirname(configPath), { recursive: true, mode: 0o700 });
      writeJson(configPath, config);
      const log = new LogFile(paths.log(this.#dataDir, config.name));
      const isLessUrgent = config.services.every(({ name }) => LESS_URGENT.includes(name));
      return { name: config.name, configPath, isLessUrgent, log, ...NEWBORN };
    });
    this.#processes.push(...added);
    for (const supervised of added) this.#spawn(supervised);
    this.#save();
  }

  /** Starts what is new in `configs` and ends what is not there any more; all others go on as they are. */
  async reload(configs: readonly ProcessConfig[]): Promise<void> {
    const names = new Set(configs.map(({ name }) => name));
    const gone = this.#processes.filter(({ name }) => !names.has(name));
    this.#processes = this.#processes.filter((supervised) => !gone.includes(supervised));
    const running = new Set(this.#processes.map(({ name }) => name));
    this.start(configs.filter(({ name }) => !running.has(name)));
    await Promise.all(gone.map((supervised) => this.#end(supervised)));
    this.#say(`reload: ${names.size - running.size} started, ${gone.length} ended`);
  }

  get state(): CampusState {
    return {
      campus: this.#campus,
      pid: process.pid,
      startedAtMs: this.#startedAtMs,
      cut: this.#cut,
      processes: this.#processes.map((p) => ({
        name: p.name,
        state: p.state,
        pid: p.child?.pid ?? 0,
        restarts: p.restarts,
        startedAtMs: p.startedAtMs,
        lastEnd: p.lastEnd,
      })),
    };
  }

  /** Cuts the campus off, or joins it again; resolves when every process has done so. */
  async setCut(cut: boolean): Promise<void> {
    this.#cut = cut;
    this.#save();
    const word = cut ? "cut" : "join";
    await Promise.all(this.#processes.map((supervised) => tell(supervised.child, word)));
    this.#say(`${word}: done`);
  }

  /** Ends every process: asked first, killed when it takes too long. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#processes.map((supervised) => this.#end(supervised)));
    this.#save();
  }

  async #end(supervised: Supervised): Promise<void> {
    clearTimeout(supervised.timer);
    const { child } = supervised;
    if (child?.pid !== undefined) {
      signal(child.pid, "SIGTERM");
      if (!(await waitUntilGone(child.pid, STOP_TIMEOUT_MS))) signal(child.pid, "SIGKILL");
    }
    supervised.state = "stopped";
    supervised.child = undefined;
    supervised.log.close();
  }

  #spawn(supervised: Supervised): void {
    const flags = this.#cut ? ["--cut"] : [];
    const child = spawn(
      process.execPath,
      [...V8_FLAGS, PROCESS_MAIN, supervised.configPath, ...flags],
      {
        stdio: ["ignore", "pipe", "pipe", "ipc"],
      },
    );
    if (supervised.isLessUrgent) yieldToOthers(child);
    supervised.child = child;
    supervised.state = "starting";
    supervised.startedAtMs = Date.now();
    child.stdout?.on("data", (chunk: Buffer) => supervised.log.append(chunk));
    child.stderr?.on("data", (chunk: Buffer) => supervised.log.append(chunk));
    child.on("message", (message) => {
      if (message !== "ready") return;
      supervised.state = "ready";
      this.#save();
    });
    const ended = (why: string) => {
      if (supervised.child === child) this.#revive(supervised, why);
    };
    child.on("error", (error) => ended(error.message));
    child.on("exit", (code, name) => ended(name === null ? `exit code ${code}` : name));
  }

  #revive(supervised: Supervised, why: string): void {
    supervised.child = undefined;
    if (this.#stopping || !this.#processes.includes(supervised)) return;
    const { pauseMs, earlyDeaths } = planRestart(
      supervised.earlyDeaths,
      Date.now() - supervised.startedAtMs,
    );
    supervised.state = "resting";
    supervised.earlyDeaths = earlyDeaths;
    supervised.lastEnd = why;
    this.#say(`${supervised.name} ended (${why}); starts again in ${pauseMs} ms`);
    supervised.timer = setTimeout(() => {
      supervised.restarts += 1;
      this.#spawn(supervised);
      this.#save();
    }, pauseMs);
  }

  /** A full disk makes the file older than the truth; the control socket knows better. */
  #save(): void {
    try {
      writeJson(paths.campusState(this.#dataDir, this.#campus), this.state);
    } catch (error) {
      this.#say(`the state file cannot be written: ${(error as Error).message}`);
    }
  }
}

/** From its first moment on: loading the code is half of what a start costs. */
function yieldToOthers({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) setPriority(pid, LESS_URGENT_NICENESS);
  } catch {
    // It is gone already; or this system has no such thing.
  }
}

const NEWBORN = {
  state: "starting",
  child: undefined,
  restarts: 0,
  earlyDeaths: 0,
  startedAtMs: 0,
  lastEnd: "",
  timer: undefined,
} as const;

/** Sends "cut" or "join"; resolves when the process has done it, is gone, or takes too long. */
function tell(child: ChildProcess | undefined, word: "cut" | "join"): Promise<void> {
  if (child === undefined || !child.connected) return Promise.resolve();
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      child.off("message", heard);
      child.off("exit", finish);
      resolve();
    };
    const heard = (message: unknown) => {
      if ((message as { done?: unknown } | null)?.done === word) finish();
    };
    const timer = setTimeout(finish, BORDER_TIMEOUT_MS);
    child.on("message", heard);
    child.once("exit", finish);
    child.send(word, (error) => {
      if (error !== null) finish();
    });
  });
}
