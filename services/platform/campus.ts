/**
 * A campus from outside: start it, stop it gently, kill it like a power cut, freeze and thaw it, cut
 * it off and join it again. Used by the command line and by tests; works on what lies in the data
 * folder, so any process of the same user can do it, at any time.
 */
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { askCampus, type Command } from "./control.ts";
import { paths, readJson } from "./paths.ts";
import { isProcess, lookAtProcess, signal, waitUntilGone } from "./process-facts.ts";
import type { CampusState } from "./supervisor.ts";

const CAMPUS_MAIN = fileURLToPath(new URL("campus-main.ts", import.meta.url));
const COMPILE_CACHE = fileURLToPath(
  new URL("../../node_modules/.cache/tricampus", import.meta.url),
);
/** By which processes are recognised, beside their data folder: of any checkout, or no upgrade could begin. */
const CAMPUS_ENTRY = "/services/platform/campus-main.ts ";
const PROCESS_ENTRY = "/services/platform/main.ts ";
const ASK_TIMEOUT_MS = 3_000;
const KILL_TIMEOUT_MS = 5_000;
/** Longer than a supervisor takes to kill what does not stop. */
const STOP_TIMEOUT_MS = 12_000;

export interface CampusReport {
  readonly campus: string;
  readonly state: "down" | "running" | "cut" | "frozen" | "silent";
  /** Pid of supervisor and process group; 0 when the campus is down. */
  readonly pid: number;
  readonly processes: CampusState["processes"];
}

export class Campus {
  readonly name: string;
  readonly #dataDir: string;

  constructor(dataDir: string, name: string) {
    this.#dataDir = dataDir;
    this.name = name;
  }

  /** Starts the campus in the background; one that runs already is left alone. */
  async start(): Promise<void> {
    if (this.#supervisorPid() !== 0) return;
    await this.endLeftovers();
    mkdirSync(paths.logs(this.#dataDir, this.name), { recursive: true });
    const words = openSync(paths.log(this.#dataDir, `${this.name}/supervisor-stderr`), "w", 0o600);
    const child = spawn(process.execPath, [CAMPUS_MAIN, this.#dataDir, this.name], {
      detached: true,
      // Two thirds of a process's start would go into stripping types and compiling.
      env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env },
      stdio: ["ignore", words, words],
    });
    closeSync(words);
    child.unref();
  }

  async report(): Promise<CampusReport> {
    const pid = this.#supervisorPid();
    if (pid === 0) return { campus: this.name, state: "down", pid: 0, processes: [] };
    const saved = this.#saved()?.processes ?? [];
    if (lookAtProcess(pid).state === "stopped") {
      return { campus: this.name, state: "frozen", pid, processes: saved };
    }
    try {
      const { cut, processes } = await this.#ask("status");
      return { campus: this.name, state: cut ? "cut" : "running", pid, processes };
    } catch {
      return { campus: this.name, state: "silent", pid, processes: saved };
    }
  }

  async stop(): Promise<void> {
    const pid = this.#supervisorPid();
    if (pid === 0) return;
    this.#signalTree("SIGCONT");
    try {
      await this.#ask("stop");
    } catch {
      signal(pid, "SIGTERM");
    }
    if (!(await waitUntilGone(pid, STOP_TIMEOUT_MS))) await this.kill();
  }

  /** kill -9 of the whole tree; resolves when it is gone, its ports included. */
  async kill(): Promise<void> {
    // Looked up before: a process that is dying has no command line any more.
    const pids = [this.#supervisorPid(), ...this.#processPids()];
    this.#signalTree("SIGKILL");
    for (const pid of pids.filter((pid) => pid !== 0)) {
      signal(pid, "SIGKILL");
      await waitUntilGone(pid, KILL_TIMEOUT_MS);
    }
  }

  /** Kills the processes of a campus whose supervisor is gone: when it alone is killed, they drain. */
  async endLeftovers(): Promise<void> {
    for (const pid of this.#processPids()) {
      signal(pid, "SIGKILL");
      await waitUntilGone(pid, KILL_TIMEOUT_MS);
    }
  }

  freeze(): void {
    this.#signalTree("SIGSTOP");
  }

  thaw(): void {
    this.#signalTree("SIGCONT");
  }

  async cut(): Promise<void> {
    await this.#ask("cut");
  }

  async join(): Promise<void> {
    await this.#ask("join");
  }

  /** Starts processes that are new in the platform's configuration, and ends those that are not there. */
  async reload(): Promise<void> {
    await this.#ask("reload");
  }

  #ask(command: Command): Promise<CampusState> {
    return askCampus(paths.control(this.#dataDir, this.name), command, ASK_TIMEOUT_MS);
  }

  #saved(): CampusState | undefined {
    return readJson<CampusState>(paths.campusState(this.#dataDir, this.name));
  }

  /** 0 when the campus is down; a number that belongs to somebody else by now is not believed. */
  #supervisorPid(): number {
    const pid = this.#saved()?.pid ?? 0;
    return isProcess(pid, CAMPUS_ENTRY, `${this.#dataDir} ${this.name}`) ? pid : 0;
  }

  #processPids(): number[] {
    const processes = this.#saved()?.processes ?? [];
    return processes
      .filter(({ name, pid }) =>
        isProcess(pid, PROCESS_ENTRY, paths.processConfig(this.#dataDir, name)),
      )
      .map(({ pid }) => pid);
  }

  #signalTree(name: NodeJS.Signals): void {
    const pid = this.#supervisorPid();
    if (pid !== 0) signal(-pid, name);
  }
}
