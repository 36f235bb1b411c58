/** The floors of slots (S5, protocol/absent.ts) as spans, and how they rise. */
import { cutOut, type SlotSpan } from "./held-slots.ts";

/** As Floor of protocol/absent.ts. */
interface Height {
  readonly version: number;
  readonly forgottenMs: number;
}

export interface FloorSpan extends SlotSpan, Height {}

/** The floors once those of this span's slots are at least so high. */
export function withFloor(
  floors: readonly FloorSpan[],
  span: SlotSpan,
  floor: Height,
): FloorSpan[] {
  const inside = floors.flatMap((own) => within(own, span));
  const outside = floors.flatMap((own) => cutOut(own, span));
  const before = { keyspace: span.keyspace, first: span.first, last: span.last };
  const bare = inside.reduce<SlotSpan[]>(
    (left, own) => left.flatMap((s) => cutOut(s, own)),
    [before],
  );
  const raised = inside.map((own) => ({ ...own, ...higher(own, floor) }));
  const { version, forgottenMs } = floor;
  const fresh = bare.map((own) => ({ ...own, version, forgottenMs }));
  return joined([...outside, ...raised, ...fresh]);
}

/** Every slot at the higher of its floors. */
export function highest(...all: readonly (readonly FloorSpan[])[]): FloorSpan[] {
  return all.flat().reduce<FloorSpan[]>((floors, own) => withFloor(floors, own, own), []);
}

/** The floors of these slots. */
export function floorsWithin(
  floors: readonly FloorSpan[],
  spans: readonly SlotSpan[],
): FloorSpan[] {
  return spans.flatMap((span) => floors.flatMap((own) => within(own, span)));
}

export function withoutFloors(
  floors: readonly FloorSpan[],
  spans: readonly SlotSpan[],
): FloorSpan[] {
  return spans.reduce<readonly FloorSpan[]>(
    (left, span) => left.flatMap((own) => cutOut(own, span)),
    floors,
  ) as FloorSpan[];
}

function higher(a: Height, b: Height): Height {
  return {
    version: Math.max(a.version, b.version),
    forgottenMs: Math.max(a.forgottenMs, b.forgottenMs),
  };
}

function within(own: FloorSpan, span: SlotSpan): FloorSpan[] {
  const first = Math.max(own.first, span.first);
  const last = Math.min(own.last, span.last);
  return own.keyspace === span.keyspace && first <= last ? [{ ...own, first, last }] : [];
}

function joined(floors: FloorSpan[]): FloorSpan[] {
  const inOrder = floors.sort((a, b) => a.keyspace - b.keyspace || a.first - b.first);
  const all: FloorSpan[] = [];
  for (const next of inOrder) {
    const before = all.at(-1);
    if (before !== undefined && continues(before, next))
      all[all.length - 1] = { ...before, last: next.last };
    else all.push(next);
  }
  return all;
}

function continues(a: FloorSpan, b: FloorSpan): boolean {
  const touches = a.keyspace === b.keyspace && a.last + 1 === b.first;
  return touches && a.version === b.version && a.forgottenMs === b.forgottenMs;
}
