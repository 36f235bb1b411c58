/**
 * The sequence numbers of one conversation that a device has, as sorted ranges: a device has nearly
 * all of them in a row, so a million numbers cost as much as one, and the usual number extends the
 * last range.
 */
export class SequenceSet {
  /** First and last number of each range, in order; ranges never touch. */
  readonly #ranges: { first: number; last: number }[] = [];

  /** False when it was there already. */
  add(sequence: number): boolean {
    const ranges = this.#ranges;
    const newest = ranges.at(-1);
    if (newest !== undefined && newest.last + 1 === sequence) {
      newest.last = sequence;
      return true;
    }
    const at = this.#firstEndingAtOrAfter(sequence - 1);
    const range = ranges[at];
    if (range === undefined || range.first > sequence + 1) {
      ranges.splice(at, 0, { first: sequence, last: sequence });
      return true;
    }
    if (range.first <= sequence && sequence <= range.last) return false;
    if (range.first === sequence + 1) {
      range.first = sequence;
      return true;
    }
    return this.#extend(at, sequence);
  }

  /** The range at `at` ends right before `sequence`; it may now touch the next one. */
  #extend(at: number, sequence: number): boolean {
    const range = this.#ranges[at]!;
    const next = this.#ranges[at + 1];
    if (next !== undefined && next.first <= sequence && sequence <= next.last) return false;
    range.last = sequence;
    if (next?.first === sequence + 1) {
      range.last = next.last;
      this.#ranges.splice(at + 1, 1);
    }
    return true;
  }

  #firstEndingAtOrAfter(sequence: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]!.last < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
