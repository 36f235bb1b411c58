/**
 * What one replica does for which slots, as ranges, and how they change. Whether it may vote for a key is
 * decided by this alone, never by the map that clients follow (S9).
 *
 *   owned ------> sealed ------> gone          a source: nothing is decided here any more, then deleted
 *   gone --> receiving --> owned               a target: it has nothing, copies, and is the acceptor
 *
 * An acceptor moves as a whole: what it has promised and accepted lies in one place at any time, so the
 * slot's three acceptors are the same before, within and after the move, at other addresses.
 */

export interface SlotSpan {
  readonly keyspace: number;
  readonly first: number;
  /** Included. */
  readonly last: number;
}

export type SlotHolding =
  | { readonly state: "owned" }
  /**
   * Takes in what is decided, and votes on nothing. `anew`: what it voted in this move was lost with its
   * disk, so it must not be the source's acceptor again.
   */
  | { readonly state: "receiving"; readonly move: number; readonly anew: boolean }
  /** Frozen, for this move's target to take over. `to`: the group that serves next. */
  | { readonly state: "sealed"; readonly move: number; readonly to: number }
  /**
   * Nothing of it is here. `to`: who took it over; 0: it never was here. `lostIn`: the incarnation whose
   * votes were not taken over, which must not vote on these slots again: it could use a ballot twice.
   */
  | { readonly state: "gone"; readonly to: number; readonly lostIn?: number | undefined };

export interface HeldSpan extends SlotSpan {
  readonly holding: SlotHolding;
}

export const OWNED: SlotHolding = { state: "owned" };

/** What a group's replicas hold of the slots that are named nowhere. */
export function holdingAtFirst(group: number): SlotHolding {
  return group === 1 ? OWNED : { state: "gone", to: 0 };
}

export function holdingAt(
  spans: readonly HeldSpan[],
  { keyspace, slot }: { keyspace: number; slot: number },
): SlotHolding | undefined {
  const found = spans.find((s) => s.keyspace === keyspace && s.first <= slot && slot <= s.last);
  return found?.holding;
}

/** The spans once this one is held so; neighbours that are held the same become one. */
export function withHolding(
  spans: readonly HeldSpan[],
  span: SlotSpan,
  holding: SlotHolding,
): HeldSpan[] {
  const cut = spans.flatMap((other) => cutOut(other, span));
  const all = [...cut, { ...spanOf(span), holding }];
  all.sort((a, b) => a.keyspace - b.keyspace || a.first - b.first);
  const joined: HeldSpan[] = [];
  for (const next of all) {
    const before = joined.at(-1);
    if (before !== undefined && touches(before, next) && isSame(before.holding, next.holding))
      joined[joined.length - 1] = { ...before, last: next.last };
    else joined.push(next);
  }
  return joined;
}

/** What is left of a span without another. */
export function cutOut<T extends SlotSpan>(span: T, without: SlotSpan): T[] {
  if (!overlaps(span, without)) return [span];
  const left = { ...span, last: without.first - 1 };
  const right = { ...span, first: without.last + 1 };
  return [left, right].filter(({ first, last }) => first <= last);
}

export function overlaps(a: SlotSpan, b: SlotSpan): boolean {
  return a.keyspace === b.keyspace && a.first <= b.last && b.first <= a.last;
}

/**
 * What a new member holds, that lost its disk, given what both others do. Of slots on their way out it
 * holds nothing: the acceptor that was to be taken over is lost. Of those on their way in, or in already,
 * it copies from both others once they own them.
 */
export function holdingsAnew(
  group: number,
  others: readonly (readonly HeldSpan[])[],
  slots: number,
): HeldSpan[] {
  const first = holdingAtFirst(group);
  let anew: HeldSpan[] = [];
  const named = others.flat();
  for (const keyspace of new Set(named.map((span) => span.keyspace))) {
    const edges = named
      .filter((span) => span.keyspace === keyspace)
      .flatMap((span) => [span.first, span.last + 1]);
    const starts = [...new Set([0, ...edges])].filter((at) => at < slots).sort((a, b) => a - b);
    for (const [i, start] of starts.entries()) {
      const span = { keyspace, first: start, last: (starts[i + 1] ?? slots) - 1 };
      const both = others.map((spans) => holdingAt(spans, { keyspace, slot: start }) ?? first);
      anew = withHolding(anew, span, anewOf(both));
    }
  }
  return anew;
}

function anewOf(both: readonly SlotHolding[]): SlotHolding {
  const receiving = both.find((holding) => holding.state === "receiving");
  if (receiving !== undefined) return { state: "receiving", move: receiving.move, anew: true };
  const leaving = both.find(({ state }) => state === "sealed" || state === "gone");
  if (leaving === undefined) return OWNED;
  return {
    state: "gone",
    to: leaving.state === "sealed" || leaving.state === "gone" ? leaving.to : 0,
  };
}

function spanOf({ keyspace, first, last }: SlotSpan): SlotSpan {
  return { keyspace, first, last };
}

function touches(a: SlotSpan, b: SlotSpan): boolean {
  return a.keyspace === b.keyspace && a.last + 1 === b.first;
}

function isSame(a: SlotHolding, b: SlotHolding): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
