/**
 * Life of a process: start, serve, drain, stop. `main.ts` of each service wires its parts and hands
 * what must be stopped to `onStop`, newest first out.
 *
 * SIGTERM and SIGINT drain and exit 0. When the supervisor that started the process is gone (its IPC
 * channel closes), the process stops too: a campus never leaves orphans behind.
 */
import type { Logger } from "./log.ts";
import { border } from "./transport/border.ts";

type Stop = () => Promise<void> | void;

const STOP_TIMEOUT_MS = 8_000;

export class Lifecycle {
  readonly #log: Logger;
  readonly #stops: { name: string; stop: Stop }[] = [];
  #stopping: Promise<void> | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  onStop(name: string, stop: Stop): void {
    this.#stops.push({ name, stop });
  }

  /** Reacts to signals and to the supervisor; call once, after everything is started. */
  attach(): void {
    const exit = () => {
      this.stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    };
    process.once("SIGTERM", exit);
    process.once("SIGINT", exit);
    if (process.send !== undefined) {
      process.on("disconnect", exit);
      process.on("message", (message) => {
        if (message === "cut") border.cut();
        if (message === "join") border.join();
      });
      process.send("ready");
    }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    const giveUp = setTimeout(() => {
      this.#log.error(
        { left: this.#stops.map((s) => s.name) },
        "stopping took too long; exiting anyway",
      );
      process.exit(1);
    }, STOP_TIMEOUT_MS);
    for (let next = this.#stops.pop(); next !== undefined; next = this.#stops.pop()) {
      await next.stop();
    }
    clearTimeout(giveUp);
  }
}
