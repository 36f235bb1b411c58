/** The generators of a load, from the process that gives the orders. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Named, Order, Report, Second } from "./orders.ts";

const GENERATOR_MAIN = fileURLToPath(new URL("generator-main.ts", import.meta.url));
/** Thousands of clients a process: the young generation is large enough for what they have open. */
const NODE_FLAGS = ["--v8-pool-size=1", "--max-semi-space-size=32"];

interface Waiter {
  readonly done: (named: Named) => void;
  readonly fail: (error: Error) => void;
}

export class Generators {
  readonly #children: readonly ChildProcess[];
  /** By generator: who waits for the answer to its order. */
  readonly #waiters: (Waiter | undefined)[] = [];

  /** `heard` is told every second of every generator, whether or not it has an order. */
  constructor(count: number, heard: (second: Second) => void) {
    const stdio = ["ignore", "inherit", "inherit", "ipc"] as const;
    this.#children = Array.from({ length: count }, (_, index) => {
      const child = fork(GENERATOR_MAIN, { execArgv: NODE_FLAGS, stdio: [...stdio] });
      child.on("message", (report: Report) => {
        if (report.kind === "second") heard(report.second);
        else this.#answered(index, report);
      });
      child.once("exit", (code) => {
        this.#waiters[index]?.fail(new Error(`a generator ended with code ${code}`));
      });
      return child;
    });
  }

  get pids(): number[] {
    return this.#children.map((child) => child.pid!);
  }

  /** Gives an order to all; resolves to what they name together when all are done. */
  async order(orderOf: (index: number) => Order): Promise<Named> {
    const answers = this.#children.map(
      (child, index) =>
        new Promise<Named>((done, fail) => {
          this.#waiters[index] = { done, fail };
          child.send(orderOf(index));
        }),
    );
    return (await Promise.all(answers)).flat();
  }

  stop(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }

  #answered(index: number, report: Exclude<Report, { kind: "second" }>): void {
    const waiter = this.#waiters[index];
    this.#waiters[index] = undefined;
    if (report.kind === "done") waiter?.done(report.named ?? []);
    else waiter?.fail(new Error(`a generator failed: ${report.why}`));
  }
}
