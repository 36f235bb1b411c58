/**
 * Which of the user's own messages a sync should look after (M1): one that a process left midway
 * when it died is carried on from here.
 *
 * Too young: its send is probably still running. Too old: it was never acknowledged, and what its client
 * still sends again carries it on. One that has no number after days is lost: the conversation may have
 * forgotten by then that it numbered it, and would number it again.
 */
import type { CommittedMessage } from "../../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { committedAt } from "../../../data/message/client.ts";

/** A send is given up after 5 s: until then it may be running, and its process has more to do than it can. */
const DIRECT_AGE_MIN_MS = 6_000;
const GROUP_AGE_MIN_MS = 5_000;
const AGE_MAX_MS = 24 * 3_600_000;
/** Less than anything is kept: services/logic/retention/config.ts. */
export const LOST_AFTER_MS = 6 * 24 * 3_600_000;

export interface Orphans {
  /** 1:1 messages without a number. */
  readonly unnumbered: readonly CommittedMessage[];
  /**
   * The newest 1:1 message of each conversation: whether it was delivered is not seen here. Carrying
   * it on brings everything before it, too.
   */
  readonly newest: readonly CommittedMessage[];
  /** Group messages, by group: they may not have reached the queue. */
  readonly byGroup: ReadonlyMap<string, readonly CommittedMessage[]>;
}

export function findOrphans(
  own: readonly CommittedMessage[],
  facts: { nowMs: number; sequences: ReadonlyMap<string, number> },
): Orphans {
  const unnumbered: CommittedMessage[] = [];
  const newest = new Map<string, CommittedMessage>();
  const byGroup = new Map<string, CommittedMessage[]>();
  for (const message of own) {
    const { conversationId, recipientId, messageId } = message;
    const ageMs = facts.nowMs - committedAt(message);
    const isDirect = recipientId !== "";
    if (ageMs < (isDirect ? DIRECT_AGE_MIN_MS : GROUP_AGE_MIN_MS)) continue;
    const sequence = facts.sequences.get(messageId) ?? 0;
    if (isDirect && sequence === 0 && ageMs <= LOST_AFTER_MS) unnumbered.push(message);
    if (ageMs > AGE_MAX_MS) continue;
    if (isDirect) {
      const other = facts.sequences.get(newest.get(conversationId)?.messageId ?? "") ?? 0;
      if (sequence > other) newest.set(conversationId, message);
    } else {
      const messages = byGroup.get(conversationId);
      if (messages === undefined) byGroup.set(conversationId, [message]);
      else messages.push(message);
    }
  }
  return { unnumbered, newest: [...newest.values()], byGroup };
}
