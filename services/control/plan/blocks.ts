/**
 * What may be blocked together, and what is blocked when. Pure: time is an argument, milliseconds
 * since 1970.
 *
 * One rule: whatever is blocked, every service still has two campuses. So of a service at most one
 * campus is blocked, and a whole campus counts for all services.
 */
import type { Block } from "../../../protos/gen/tricampus/control/v1/control_codec.ts";

/** A whole campus (`service` is empty), or one service there. */
export type Target = Pick<Block, "campus" | "service">;

export type Decision =
  /** `changed`: the block that is set or ended. */
  | { readonly verdict: "set"; readonly blocks: readonly Block[]; readonly changed: Block }
  | { readonly verdict: "refused"; readonly reason: string };

/** Nothing is blocked for longer: who forgets to end a block is not left with two campuses. */
export const BLOCK_MS_MAX = 24 * 3_600_000;

/**
 * A block that has ended here may still be in force where the clock is behind: for so long it counts
 * against a second one.
 */
export const CLOCKS_APART_MS = 2_000;

/** "b", or "b/text". */
export function nameOf({ campus, service }: Target): string {
  return service === "" ? campus : `${campus}/${service}`;
}

export function inForce(blocks: readonly Block[], nowMs: number): Block[] {
  return blocks.filter(({ untilMs }) => untilMs > nowMs);
}

/** Blocks one more, or again with another end. */
export function planBlock(blocks: readonly Block[], wanted: Block, nowMs: number): Decision {
  const forMs = wanted.untilMs - nowMs;
  if (forMs <= 0 || forMs > BLOCK_MS_MAX) {
    const reason = "a block ends after now, and within 24 hours";
    return { verdict: "refused", reason };
  }
  const standing = inForce(blocks, nowMs - CLOCKS_APART_MS);
  const other = standing.find((block) => excludes(block, wanted));
  if (other !== undefined) {
    const { who, why } = other;
    const reason =
      `${nameOf(other)} is blocked, by ${who} (${why}): with ${nameOf(wanted)} too, ` +
      `a service would be left with one campus; unblock ${nameOf(other)} first`;
    return { verdict: "refused", reason };
  }
  const others = inForce(blocks, nowMs).filter((block) => !isSame(block, wanted));
  return { verdict: "set", blocks: [...others, wanted], changed: wanted };
}

/** Whose block it is, and which of theirs. */
export type Holder = Pick<Block, "who" | "why">;

/** Puts the end of a block off that stands and is still its holder's; it is the same block. */
export function planRenewal(
  blocks: readonly Block[],
  { target, holder, untilMs }: { target: Target; holder: Holder; untilMs: number },
  nowMs: number,
): Decision {
  const standing = inForce(blocks, nowMs).find((block) => isSame(block, target));
  if (standing === undefined || !isHeldBy(standing, holder)) return notHeld(target, holder);
  return planBlock(blocks, { ...standing, untilMs }, nowMs);
}

/** Ends a block before its time; with a holder only theirs. */
export function planUnblock(
  blocks: readonly Block[],
  { holder, ...target }: Target & { readonly holder?: Holder | undefined },
  nowMs: number,
): Decision {
  const standing = inForce(blocks, nowMs);
  const ended = standing.find((block) => isSame(block, target));
  if (ended !== undefined && holder !== undefined && !isHeldBy(ended, holder))
    return notHeld(target, holder);
  if (ended !== undefined) {
    const left = standing.filter((block) => block !== ended);
    return { verdict: "set", blocks: left, changed: ended };
  }
  const names = standing.map(nameOf).sort().join(", ");
  const reason = `${nameOf(target)} is not blocked: ${names === "" ? "nothing is" : `only ${names}`}`;
  return { verdict: "refused", reason };
}

function isHeldBy(block: Holder, { who, why }: Holder): boolean {
  return block.who === who && block.why === why;
}

function notHeld(target: Target, { who, why }: Holder): Decision {
  const reason = `${nameOf(target)} is not blocked by ${who} (${why}) any more`;
  return { verdict: "refused", reason };
}

/** Together they would leave a service with one campus. */
function excludes(one: Target, other: Target): boolean {
  if (one.campus === other.campus) return false;
  return one.service === "" || other.service === "" || one.service === other.service;
}

function isSame(one: Target, other: Target): boolean {
  return one.campus === other.campus && one.service === other.service;
}
