/**
 * Places that several share, of whom some give theirs back late or never. Nobody takes more than half as many as
 * are free: one alone gets a third of all, those who come later ever less, and who has none gets one while
 * one is free. A fixed share would leave most places empty to one who is alone, or be all of them for a few. Pure.
 */
export class Places {
  readonly #max: number;
  readonly #takenBy = new Map<string, number>();
  #taken = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get areFull(): boolean {
    return this.#taken >= this.#max;
  }

  takenBy(who: string): number {
    return this.#takenBy.get(who) ?? 0;
  }

  hasOneFor(who: string): boolean {
    return this.takenBy(who) < (this.#max - this.#taken) / 2;
  }

  /** Also beyond what it may. */
  take(who: string): void {
    this.#taken += 1;
    this.#takenBy.set(who, this.takenBy(who) + 1);
  }

  giveBack(who: string): void {
    this.#taken -= 1;
    const left = this.takenBy(who) - 1;
    if (left > 0) this.#takenBy.set(who, left);
    else this.#takenBy.delete(who);
  }
}
