/** How much of an inbox, a conversation and a group may be forgotten now. */
import type { DeviceConfirmation } from "../../../../protos/gen/tricampus/data/v1/account_codec.ts";

export interface RetentionRules {
  readonly forget: "by-age" | "when-confirmed";
  readonly keepMs: number;
  readonly silentMs: number;
  readonly idsMs: number;
  readonly mediaMs: number;
  readonly timelineMs: number;
}

/**
 * Times are milliseconds since 1970, 0: nothing. A conversation keeps the numbers of messages as long
 * as any inbox may ask for them: a day longer.
 */
const MARGIN_MS = 24 * 3_600_000;

/** Of uploads that were never finished. */
const UNFINISHED_MS = 2 * 24 * 3_600_000;

export function timesOf({ keepMs, idsMs, mediaMs, timelineMs }: RetentionRules, nowMs: number) {
  const committedMs = Math.max(keepMs, idsMs);
  return {
    deliveredBeforeMs: nowMs - keepMs,
    committedBeforeMs: nowMs - committedMs,
    conversationBeforeMs: nowMs - committedMs - MARGIN_MS,
    groupBeforeMs: nowMs - keepMs,
    outcomesBeforeMs: nowMs - idsMs - MARGIN_MS,
    mediaBeforeMs: nowMs - mediaMs,
    timelineBeforeMs: nowMs - timelineMs,
    unfinishedBeforeMs: nowMs - UNFINISHED_MS,
  };
}

/** The version that every device that counts has; 0 when none is known to have anything. */
export function confirmedBy(
  confirmations: readonly DeviceConfirmation[],
  { forget, silentMs }: RetentionRules,
  nowMs: number,
): number {
  if (forget === "by-age") return 0;
  const counting = confirmations.filter((device) => device.atMs > nowMs - silentMs);
  if (counting.length === 0) return 0;
  return Math.min(...counting.map((device) => device.messagesVersion));
}
