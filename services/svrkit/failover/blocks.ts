/**
 * What is blocked now, as this process knows it: campuses, and services of a campus, that take no new
 * calls. Told by whoever follows the control table; svrkit's clients and services look here.
 */

/** A whole campus (`service` is empty), or one service there. */
export interface Blocked {
  readonly campus: string;
  readonly service: string;
  /** Milliseconds since 1970. */
  readonly untilMs: number;
  readonly why: string;
}

export class Blocks {
  #all: readonly Blocked[] = [];
  readonly #listeners: (() => void)[] = [];

  /** What applies to a service in a campus; undefined when it takes calls. */
  find(campus: string, service: string): Blocked | undefined {
    const there = this.#all.filter((blocked) => blocked.campus === campus);
    const whole = there.find((blocked) => blocked.service === "");
    return whole ?? there.find((blocked) => blocked.service === service);
  }

  /** Replaces everything that was blocked before. */
  set(all: readonly Blocked[]): void {
    if (JSON.stringify(all) === JSON.stringify(this.#all)) return;
    this.#all = [...all];
    for (const changed of this.#listeners) changed();
  }

  /** `changed` is called after every change, as long as the process lives. */
  onChange(changed: () => void): void {
    this.#listeners.push(changed);
  }
}
