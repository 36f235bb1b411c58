/** What a person who waits is told, on stderr; a script finds it empty when all goes well. */
const TELL_EVERY_MS = 5_000;
const LOOK_EVERY_MS = 1_000;

/** What may help when a part of the platform of this machine is late. */
export const LATE_ADVICE =
  "on a busy machine a start takes longer and goes on: see `tricampus status`";

export class Waiting {
  readonly #out: Pick<NodeJS.WriteStream, "isTTY" | "write">;
  #toldMs = performance.now();

  constructor(out: Pick<NodeJS.WriteStream, "isTTY" | "write"> = process.stderr) {
    this.#out = out;
  }

  /** Says what is waited for, unless it has a moment ago. */
  tell(what: string): void {
    if (!this.#out.isTTY || performance.now() - this.#toldMs < TELL_EVERY_MS) return;
    this.#toldMs = performance.now();
    this.#out.write(`waiting: ${what}\n`);
  }

  /** Says it as long as `work` takes. */
  async during<T>(what: string, work: Promise<T>): Promise<T> {
    const timer = setInterval(() => this.tell(what), LOOK_EVERY_MS);
    try {
      return await work;
    } finally {
      clearInterval(timer);
    }
  }
}
