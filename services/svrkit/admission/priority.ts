/**
 * The priority of a call, as one number that travels with it through the whole call chain: what is asked
 * for (its business class), and by whom (a bucket of users). Lower is more important.
 *
 *   0                      never shed: replication, repair, control, and work that was accepted before
 *   1 + 128 class + bucket
 *
 * Class before bucket: login outranks messages, messages outrank moments, whoever asks. Within a class,
 * users are spread over 127 buckets by a hash of the user and the hour, so what is shed is shed from the
 * same users all along a call chain and over a whole task, and from others an hour later. (After DAGOR,
 * SoCC 2018; a session in place of the user would let people log in again for a better bucket.) The last
 * bucket is nobody's: what no user waits for any more is in it.
 */
import { murmur3 } from "../murmur3.ts";

export const NEVER_SHED = 0;
export const BUCKETS = 128;
/** Those of users. */
export const USER_BUCKETS = BUCKETS - 1;
/** The first to be shed of each class: what nobody waits for, and nothing else. */
export const LAST_BUCKET = BUCKETS - 1;
const HOUR_MS = 3_600_000;

/** The business classes, the most important first; several kinds of request may share one. */
const CLASSES = {
  login: 0,
  message: 1,
  sync: 2,
  group: 3,
  lookup: 4,
  media: 5,
  moments: 6,
  other: 7,
} as const;

export type BusinessClass = keyof typeof CLASSES;
export const BUSINESS_CLASSES = Object.keys(CLASSES) as readonly BusinessClass[];

export const CLASS_COUNT = Object.keys(CLASSES).length;
/** Above every priority: as a level it admits everything. */
export const EVERYTHING = 1 + CLASS_COUNT * BUCKETS;

export function priorityOf(businessClass: BusinessClass, bucket: number): number {
  return 1 + CLASSES[businessClass] * BUCKETS + bucket;
}

export function isInLastBucket(priority: number): boolean {
  return priority !== NEVER_SHED && (priority - 1) % BUCKETS === LAST_BUCKET;
}

/** `nowMs`: milliseconds since 1970. */
export function bucketOf(userId: string, nowMs: number): number {
  return murmur3(Buffer.from(userId), Math.floor(nowMs / HOUR_MS)) % USER_BUCKETS;
}

/** Of work that nobody waits for, and that comes by again: clean-up, audits. */
export const LEAST = priorityOf("other", LAST_BUCKET);
