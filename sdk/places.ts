/**
 * Places that several share, of whom some give theirs back late or never. Nobody takes more than half as many as
 * are free: one alone gets a third of all, those who come later ever less, and who has none gets one while
 * one is free. A fixed share would leave most places empty to one who is alone, or be all of them for a few.
 *
 * That alone keeps one who is silent from taking all, but not nine of them. So those known to be silent share
 * `silentMax` places among themselves, by the same rule and in turn; what they have beyond that, from when
 * nobody knew, is to be taken back. The others' places they cannot touch, however many they are. Pure.
 */
export class Places {
  readonly #max: number;
  readonly #silentMax: number;
  readonly #takenBy = new Map<string, number>();
  #taken = 0;
  /** Whose turn it is comes first. */
  readonly #silent = new Set<string>();
  #takenBySilent = 0;

  constructor(max: number, silentMax: number) {
    this.#max = max;
    this.#silentMax = silentMax;
  }

  get areFull(): boolean {
    return this.#taken >= this.#max;
  }

  get silent(): ReadonlySet<string> {
    return this.#silent;
  }

  takenBy(who: string): number {
    return this.#takenBy.get(who) ?? 0;
  }

  hasOneFor(who: string): boolean {
    if (this.areFull) return false;
    return this.takenBy(who) < this.#freeFor(who) / 2;
  }

  /** Has more than it would get if it came now, or it is the turn of another one. */
  owesOne(who: string): boolean {
    const taken = this.takenBy(who);
    if (taken === 0 || !this.#silent.has(who)) return false;
    const isOver = taken - 1 >= (this.#freeFor(who) + 1) / 2;
    return isOver || (this.#takenBySilent >= this.#silentMax && this.#someWait());
  }

  /** Also beyond what it may. */
  take(who: string): void {
    this.#count(who, 1);
  }

  giveBack(who: string): void {
    this.#count(who, -1);
  }

  /** It has not answered, again: it is the others' turn. */
  silence(who: string): void {
    if (!this.#silent.delete(who)) this.#takenBySilent += this.takenBy(who);
    this.#silent.add(who);
  }

  /** It has answered, or nothing is asked of it any more. */
  heard(who: string): void {
    if (this.#silent.delete(who)) this.#takenBySilent -= this.takenBy(who);
  }

  #freeFor(who: string): number {
    const free = this.#max - this.#taken;
    return this.#silent.has(who) ? Math.min(free, this.#silentMax - this.#takenBySilent) : free;
  }

  #someWait(): boolean {
    for (const who of this.#silent) if (this.takenBy(who) === 0) return true;
    return false;
  }

  #count(who: string, more: 1 | -1): void {
    this.#taken += more;
    if (this.#silent.has(who)) this.#takenBySilent += more;
    const taken = this.takenBy(who) + more;
    if (taken > 0) this.#takenBy.set(who, taken);
    else this.#takenBy.delete(who);
  }
}
