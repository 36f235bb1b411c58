/** What other services know of moments: how they are named. */
import { createHash } from "node:crypto";

/**
 * "<author>.<time, base 36>.<8 hex digits of the client's id>": author, time and place in the author's table
 * can be read off it, so nothing has to be looked up to find it.
 */
export interface MomentName {
  readonly authorId: string;
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly mark: string;
}

const FORM = /^([0-9a-z-]{1,64})\.([0-9a-z]{1,9})\.([0-9a-f]{8})$/;

export function momentIdOf({ authorId, atMs, mark }: MomentName): string {
  return `${authorId}.${atMs.toString(36)}.${mark}`;
}

export function markOf(clientMomentId: string): string {
  return createHash("sha256").update(clientMomentId).digest("hex").slice(0, 8);
}

/** Undefined: it names no moment. */
export function parseMomentId(momentId: string): MomentName | undefined {
  const [, authorId, time, mark] = FORM.exec(momentId) ?? [];
  if (authorId === undefined) return undefined;
  return { authorId, atMs: Number.parseInt(time!, 36), mark: mark! };
}

/** Newest first; of one millisecond in the order of their ids. */
export function isBefore(one: string, other: string): boolean {
  const [a, b] = [parseMomentId(one)!.atMs, parseMomentId(other)!.atMs];
  return a === b ? one > other : a > b;
}

const TIMELINE = "timeline/";

/** Whether a table of the keyspace grows with time and nothing else. */
export function isTimeline(table: string): boolean {
  return table.startsWith(TIMELINE);
}

export function timelineTable(userId: string): string {
  return TIMELINE + userId;
}
