/** What is done to the platform on the way: each step once, in order, at its share of the messages. */
import type { Platform } from "../../services/platform/platform.ts";
import type { Fault } from "./fault.ts";
import type { Timeline } from "./timeline.ts";

export interface Step {
  /** Share (0-1) of all messages done. */
  readonly at: number;
  /** "campus b killed with -9": for the timeline. */
  readonly text: string;
  readonly act: () => Promise<void> | void;
  /** The text of the step whose effect it takes away. */
  readonly undoes?: string;
}

export class Steps {
  readonly #steps: Step[];
  readonly #timeline: Timeline;
  #running: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  readonly #begun = new Set<string>();

  constructor(steps: readonly Step[], timeline: Timeline) {
    this.#steps = steps.toSorted((a, b) => a.at - b.at);
    this.#timeline = timeline;
  }

  reached(share: number): void {
    while (this.#steps.length > 0 && this.#steps[0]!.at <= share) {
      this.#begin(this.#steps.shift()!);
    }
  }

  #begin(step: Step): void {
    this.#begun.add(step.text);
    this.#running = this.#running.then(() => this.#run(step));
  }

  /** Waits for the steps begun; throws what failed of them. A step not reached is done now. */
  async finish(): Promise<void> {
    this.reached(1);
    await this.#running;
    if (this.#failure !== undefined) throw this.#failure;
  }

  /**
   * For who gives up on the way: nothing begins any more, and what was begun is undone. Resolves to why that
   * failed, in words.
   */
  async undo(): Promise<string | undefined> {
    const left = this.#steps.splice(0);
    await this.#running;
    this.#failure = undefined;
    for (const step of left)
      if (step.undoes !== undefined && this.#begun.has(step.undoes)) this.#begin(step);
    await this.#running;
    return (this.#failure as Error | undefined)?.message;
  }

  async #run(step: Step): Promise<void> {
    this.#timeline.event(performance.now(), step.text);
    try {
      await step.act();
    } catch (error) {
      this.#failure ??= new Error(`${step.text}: ${(error as Error).message}`, { cause: error });
    }
  }
}

const READY_TIMEOUT_MS = 30_000;

export function stepsOf(fault: Fault, platform: Platform): Step[] {
  const campus = platform.campus(fault.campus);
  if (campus === undefined) throw new Error(`there is no campus "${fault.campus}"`);
  const name = `campus ${fault.campus}`;
  const { at, backAt } = fault;
  switch (fault.kind) {
    case "kill":
      return [
        { at, text: `${name} killed (-9)`, act: () => campus.kill() },
        {
          at: backAt,
          text: `${name} started again`,
          undoes: `${name} killed (-9)`,
          act: async () => {
            await campus.start();
            await platform.waitReady(READY_TIMEOUT_MS);
          },
        },
      ];
    case "cut":
      return [
        { at, text: `${name} cut off`, act: () => campus.cut() },
        {
          at: backAt,
          text: `${name} joined again`,
          undoes: `${name} cut off`,
          act: () => campus.join(),
        },
      ];
    case "freeze":
      return [
        { at, text: `${name} frozen`, act: () => campus.freeze() },
        {
          at: backAt,
          text: `${name} thawed`,
          undoes: `${name} frozen`,
          act: () => campus.thaw(),
        },
      ];
  }
}
