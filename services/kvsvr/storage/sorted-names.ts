/**
 * Names in order, of which many are added and few are asked for at a time. New ones wait in a short
 * list beside the long sorted one; sorting everything for every page that is read would take longer
 * than the page, and inserting each in its place longer than the write.
 */

/** As long as this the list of new names is sorted in no time, and merged seldom enough. */
const ADDED_MAX = 512;

export class SortedNames {
  #sorted: string[] = [];
  #added: string[] = [];
  #isAddedSorted = true;

  /** A name that is not here yet. */
  add(name: string): void {
    this.#isAddedSorted &&= this.#added.length === 0 || this.#added.at(-1)! < name;
    this.#added.push(name);
    if (this.#added.length > ADDED_MAX) this.#merge();
  }

  /** Keeps the names that pass. */
  filter(isKept: (name: string) => boolean): void {
    this.#sorted = this.#sorted.filter(isKept);
    this.#added = this.#added.filter(isKept);
  }

  /** Names first <= name < end in order, or reversed; end undefined: to the last. */
  *range(first: string, end: string | undefined, reverse: boolean): Iterable<string> {
    this.#sortAdded();
    const a = span(this.#sorted, first, end);
    const b = span(this.#added, first, end);
    while (a.low < a.high || b.low < b.high) yield reverse ? takeLast(a, b) : takeFirst(a, b);
  }

  #sortAdded(): void {
    if (!this.#isAddedSorted) this.#added.sort();
    this.#isAddedSorted = true;
  }

  #merge(): void {
    this.#sortAdded();
    const last = this.#sorted.at(-1);
    if (last === undefined || last < this.#added[0]!)
      for (const name of this.#added) this.#sorted.push(name);
    else this.#sorted = [...this.range("", undefined, false)];
    this.#added = [];
  }
}

interface Span {
  readonly names: readonly string[];
  low: number;
  high: number;
}

function span(names: readonly string[], first: string, end: string | undefined): Span {
  const low = lowerBound(names, first);
  return {
    names,
    low,
    high: Math.max(low, end === undefined ? names.length : lowerBound(names, end)),
  };
}

function lowerBound(names: readonly string[], name: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (names[middle]! < name) low = middle + 1;
    else high = middle;
  }
  return low;
}

function takeFirst(a: Span, b: Span): string {
  const isA = b.low >= b.high || (a.low < a.high && a.names[a.low]! < b.names[b.low]!);
  const from = isA ? a : b;
  return from.names[from.low++]!;
}

function takeLast(a: Span, b: Span): string {
  const isA = b.low >= b.high || (a.low < a.high && a.names[a.high - 1]! > b.names[b.high - 1]!);
  const from = isA ? a : b;
  return from.names[--from.high]!;
}
