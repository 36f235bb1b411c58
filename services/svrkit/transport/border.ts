/**
 * The campus border: the one place that can make this process fall silent towards everyone outside
 * its campus, as a cut cable does. Connections stay open, nothing is read from them and nothing
 * written to them leaves; when the campus joins again, both directions flow on, late, as TCP's own
 * retransmissions would make them.
 *
 * Drills block a campus in the control table instead; the border exists to prove, on one machine
 * and without root, that silence is survived.
 */
interface Crossing {
  hold(): void;
  release(): void;
}

class Border {
  #cut = false;
  readonly #crossings = new Set<Crossing>();

  get isCut(): boolean {
    return this.#cut;
  }

  /** Puts a connection under the border's control; returns what takes it out again. */
  admit(crossing: Crossing): () => void {
    this.#crossings.add(crossing);
    if (this.#cut) crossing.hold();
    return () => {
      if (this.#crossings.delete(crossing) && this.#cut) crossing.release();
    };
  }

  cut(): void {
    if (this.#cut) return;
    this.#cut = true;
    for (const crossing of this.#crossings) crossing.hold();
  }

  join(): void {
    if (!this.#cut) return;
    this.#cut = false;
    for (const crossing of this.#crossings) crossing.release();
  }
}

/** The border of this process. */
export const border = new Border();
