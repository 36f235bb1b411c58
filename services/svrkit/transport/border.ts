/**
 * The campus border: the one place that can make this process fall silent towards everyone outside
 * its campus, as a cut cable does. Connections stay open, nothing is read from them and nothing
 * written to them leaves. When the campus joins again soon, both directions flow on, late, as TCP's own
 * retransmissions would make them; after a longer cut connections end unread: whoever was at the far
 * end has given up, and has said everything again elsewhere.
 *
 * Drills block a campus in the control table instead; the border exists to prove, on one machine
 * and without root, that silence is survived.
 */
import { monotonicMs } from "../call.ts";
import { GIVEN_UP_AFTER_MS } from "../limits.ts";

interface Crossing {
  hold(): void;
  /** `isStale`: the cut was so long that the far end is not there any more. */
  release(isStale: boolean): void;
}

class Border {
  #cutSinceMs: number | undefined;
  readonly #crossings = new Set<Crossing>();

  get isCut(): boolean {
    return this.#cutSinceMs !== undefined;
  }

  /** Puts a connection under the border's control; returns what takes it out again. */
  admit(crossing: Crossing): () => void {
    this.#crossings.add(crossing);
    if (this.isCut) crossing.hold();
    return () => {
      if (this.#crossings.delete(crossing) && this.isCut) crossing.release(false);
    };
  }

  cut(): void {
    if (this.isCut) return;
    this.#cutSinceMs = monotonicMs();
    for (const crossing of this.#crossings) crossing.hold();
  }

  join(): void {
    if (this.#cutSinceMs === undefined) return;
    const isStale = monotonicMs() - this.#cutSinceMs > GIVEN_UP_AFTER_MS;
    this.#cutSinceMs = undefined;
    for (const crossing of [...this.#crossings]) crossing.release(isStale);
  }
}

/** The border of this process. */
export const border = new Border();
