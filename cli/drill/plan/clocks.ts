/**
 * How far apart the clocks of processes are, for certain. A process says its time in an answer; when it said so is
 * known to be between the question and the answer. So its clock is known but for that long, whatever this machine's
 * own clock says, and no slow answer is taken for a wrong clock. Pure but for its memory.
 */

/** How far a clock is ahead of the one that `askedMs` and `heardMs` are of: something between the two. */
interface Ahead {
  readonly leastMs: number;
  readonly mostMs: number;
}

export interface ClocksApart {
  /** Those whose clock is known. */
  readonly known: number;
  /** So far apart two of them are at least: 0 when they may all be the same. */
  readonly apartMs: number;
  /** The one that is ahead, and the one that is behind. */
  readonly ahead: string;
  readonly behind: string;
}

export class Clocks {
  /** By process: what is known best of it. */
  readonly #known = new Map<string, Ahead>();

  /** `saidMs`: milliseconds since 1970; 0: it is of a version that does not say it. */
  add(process: string, answer: { askedMs: number; heardMs: number; saidMs: number }): void {
    const { askedMs, heardMs, saidMs } = answer;
    if (saidMs === 0) return;
    const before = this.#known.get(process);
    if (before !== undefined && before.mostMs - before.leastMs < heardMs - askedMs) return;
    this.#known.set(process, { leastMs: saidMs - heardMs, mostMs: saidMs - askedMs });
  }

  get apart(): ClocksApart {
    const all = [...this.#known];
    const [first] = all;
    if (first === undefined) return { known: 0, apartMs: 0, ahead: "", behind: "" };
    let [ahead, behind] = [first, first];
    for (const one of all) {
      if (one[1].leastMs > ahead[1].leastMs) ahead = one;
      if (one[1].mostMs < behind[1].mostMs) behind = one;
    }
    const apartMs = Math.max(0, ahead[1].leastMs - behind[1].mostMs);
    return { known: all.length, apartMs, ahead: ahead[0], behind: behind[0] };
  }
}
