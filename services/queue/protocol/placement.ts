/**
 * Where a stream is written. Every campus computes the same order from the name, and the first that
 * answers writes; that the campuses may disagree about who answers costs a fence, never an entry.
 */
import { murmur3 } from "../../svrkit/murmur3.ts";

const GROUPS = 2;

/** The six orders in which three campuses can be tried. */
const ORDERS = [
  [0, 1, 2],
  [1, 2, 0],
  [2, 0, 1],
  [0, 2, 1],
  [1, 0, 2],
  [2, 1, 0],
] as const;

export function campusOrder(stream: string): readonly number[] {
  return ORDERS[(murmur3(Buffer.from(stream)) >>> 1) % ORDERS.length]!;
}

/** The group in which a stream starts. */
export function firstGroup(stream: string): number {
  return 1 + (murmur3(Buffer.from(stream)) % GROUPS);
}

export function otherGroup(group: number): number {
  return (group % GROUPS) + 1;
}

export interface Campuses {
  readonly own: number;
  /** The own campus counts as usable. */
  readonly usable: readonly boolean[];
}

/** The campus that is to write the stream. */
export function writingCampus(stream: string, { own, usable }: Campuses): number {
  return campusOrder(stream).find((campus) => campus === own || usable[campus]) ?? own;
}

/**
 * The campus to ask to look after a stream whose entries nobody consumes: the one that wrote last
 * (`lastWriter`, -1: unknown), for it may be just busy, then the usual order.
 */
export function adoptingCampus(
  stream: string,
  lastWriter: number,
  { own, usable }: Campuses,
): number {
  const isThere = (campus: number) => campus === own || usable[campus] === true;
  return isThere(lastWriter) ? lastWriter : writingCampus(stream, { own, usable });
}
