/**
 * Planning a delivery: who gets which of a group's messages, and what is left to do afterwards.
 *
 * A member gets the messages numbered from its join to its leave. Every target names the mark that
 * it expects, so that nothing is doubled or left out: a mark that stands elsewhere says what the
 * inbox has, and the rest is delivered from there.
 */
import {
  type DeliveryOutcome,
  DeliveryOutcomeKind,
  type DeliveryTarget,
} from "../../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { GroupState } from "./group-state.ts";

/** Targets for the messages above `after` and up to `through`. */
export function planTargets(
  members: GroupState["members"],
  { after, through }: { after: number; through: number },
): DeliveryTarget[] {
  const targets: DeliveryTarget[] = [];
  for (const { userId, sinceSequence, leftSequence } of members.values()) {
    const throughSequence = leftSequence === 0 ? through : Math.min(through, leftSequence);
    const joinedAfter = sinceSequence - 1;
    const fromSequence = Math.max(after, joinedAfter);
    if (fromSequence >= throughSequence) continue;
    // What lies between an earlier membership and this one was not meant for the member.
    const allowSkip = joinedAfter >= after;
    targets.push({ userId, fromSequence, allowSkip, throughSequence });
  }
  return targets;
}

export interface NextTargets {
  /** Delivered now or found delivered, with the inbox's version. */
  readonly arrived: readonly Arrival[];
  /** Lack only messages of this delivery: deliver again, from where their marks stand. */
  readonly again: readonly DeliveryTarget[];
  /** Lack messages from before this delivery. */
  readonly behind: readonly DeliveryTarget[];
  /** Could not be reached: deliver again later. */
  readonly failed: readonly DeliveryTarget[];
}

export interface Arrival {
  readonly userId: string;
  readonly version: number;
  /** The inbox's version holds the target's messages and nothing else. */
  readonly alone: boolean;
  readonly fromSequence: number;
  readonly throughSequence: number;
}

export function nextTargets(
  targets: readonly DeliveryTarget[],
  outcomes: readonly DeliveryOutcome[],
): NextTargets {
  const arrived: Arrival[] = [];
  const again: DeliveryTarget[] = [];
  const behind: DeliveryTarget[] = [];
  const failed: DeliveryTarget[] = [];
  targets.forEach((target, i) => {
    const { userId, fromSequence, throughSequence } = target;
    const outcome = outcomes[i];
    if (outcome === undefined || outcome.kind === DeliveryOutcomeKind.FAILED) {
      failed.push(target);
    } else if (outcome.kind === DeliveryOutcomeKind.DELIVERED) {
      const { version, alone } = outcome;
      arrived.push({ userId, version, alone, fromSequence, throughSequence });
    } else if (outcome.mark >= throughSequence) {
      const { version } = outcome;
      arrived.push({ userId, version, alone: false, fromSequence, throughSequence });
    } else {
      const rest = { ...target, fromSequence: outcome.mark, allowSkip: false };
      (outcome.mark > fromSequence ? again : behind).push(rest);
    }
  });
  return { arrived, again, behind, failed };
}
