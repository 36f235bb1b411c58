/** A replay of real chat logs by the command line, from outside the cluster, while tests do things to it. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import type { ReplayResult } from "../../../cli/replay/result.ts";
import { rest } from "../../../services/svrkit/rest.ts";
import { tricampusArgs, tricampusEnv } from "./cluster.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
/** Logs of real people, which are no part of this repository; without them those of the demo. */
const REAL = join(ROOT, "../shared/data/ubuntu-irc");
const DEMO = join(ROOT, "demo");

export interface ReplayOptions {
  /** Messages of each log. */
  readonly limit: number;
  /** Seconds over which they are spread; 0: as fast as it goes. */
  readonly over: number;
  readonly logs?: number;
}

export class Replay {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #stdout = "";
  #stderr = "";

  constructor({ limit, over, logs = 1 }: ReplayOptions) {
    const paths = logPaths().slice(0, logs);
    const options = ["--limit", String(limit), ...(over > 0 ? ["--over", String(over)] : [])];
    const args = tricampusArgs(["replay", ...paths, ...options, "--timeline", "--json"]);
    const env = { ...process.env, ...tricampusEnv() };
    this.#child = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"] });
    this.#child.stdout!.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout += text;
    });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
    this.#ended = new Promise((resolve, reject) => {
      this.#child.once("close", resolve).once("error", reject);
    });
  }

  /** Resolves when so much of all messages has been acknowledged. */
  async reached(share: number): Promise<void> {
    while (this.#child.exitCode === null) {
      const lines = [...this.#stderr.matchAll(/^(\d+) of (\d+) messages/gm)];
      const last = lines.at(-1);
      if (last !== undefined && Number(last[1]) >= share * Number(last[2])) return;
      await rest(100);
    }
    if (this.#child.exitCode !== 0) throw new Error(`the replay failed:\n${this.#stderr}`);
  }

  async result(): Promise<ReplayResult> {
    const code = await this.#ended;
    if (this.#stdout === "") throw new Error(`the replay failed (${code}):\n${this.#stderr}`);
    return JSON.parse(this.#stdout) as ReplayResult;
  }

  /** Every message on every device once and in order, and no send failed. */
  async expectClean(): Promise<ReplayResult> {
    const result = await this.result();
    const { missing, duplicates, outOfOrder, failedSends, altered, foreign } = result;
    const wrong = { missing, duplicates, outOfOrder, failedSends, altered, foreign };
    const none = Object.fromEntries(Object.keys(wrong).map((name) => [name, 0]));
    expect(wrong, this.#stderr).toEqual(none);
    return result;
  }

  /** For a test that failed: nothing goes on. */
  async stop(): Promise<void> {
    if (this.#child.exitCode === null) this.#child.kill("SIGKILL");
    await this.#ended;
  }
}

function logPaths(): string[] {
  const dir = existsSync(REAL) ? REAL : DEMO;
  const names = readdirSync(dir).filter((name) => name.endsWith(".txt"));
  return names.toSorted().map((name) => join(dir, name));
}

/** Runs `work` during a replay, which is over afterwards whatever happens. */
export async function duringReplay(
  options: ReplayOptions,
  work: (replay: Replay) => Promise<void>,
): Promise<ReplayResult> {
  const replay = new Replay(options);
  try {
    await replay.reached(0.15);
    await work(replay);
    return await replay.expectClean();
  } finally {
    await replay.stop();
  }
}

/** Replays one after the other until `work` is done. */
export async function duringReplays(
  options: ReplayOptions,
  work: () => Promise<void>,
): Promise<void> {
  let isDone = false;
  const working = work().finally(() => {
    isDone = true;
  });
  // Whatever fails first: the other one is waited for, and both are told.
  const replaying = (async () => {
    do await duringReplay(options, async () => {});
    while (!isDone);
  })();
  const failed = (await Promise.allSettled([working, replaying])).flatMap((one) =>
    one.status === "rejected" ? [one.reason as Error] : [],
  );
  if (failed.length === 1) throw failed[0];
  if (failed.length > 1) throw new AggregateError(failed, failed.map(String).join("\n"));
}
