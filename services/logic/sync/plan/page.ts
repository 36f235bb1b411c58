/**
 * What a device gets of its inbox's changes.
 *
 * A page stands for a version: it holds everything up to it and nothing above, so it is cut between
 * versions only. The user's own 1:1 messages lie there as committed; they go out with the number
 * that the conversation gave them. One that has none yet is on its way at this moment: the page ends
 * before it, and the device gets it with the next sync. The user's own group messages are passed
 * over, because fan-out puts them, numbered, into the sender's inbox like into everybody's.
 */
import type { InboxMessage } from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type {
  CommittedMessage,
  InboxChangesReply,
  InboxRow,
} from "../../../../protos/gen/tricampus/data/v1/inbox_codec.ts";

export interface Page {
  readonly messages: readonly InboxMessage[];
  /** The version that the page stands for. */
  readonly version: number;
  readonly more: boolean;
}

export interface PageFacts {
  readonly afterVersion: number;
  readonly bytesMax: number;
  /** By message id. */
  readonly sequences: ReadonlyMap<string, number>;
}

export function buildPage(
  changes: Pick<InboxChangesReply, "rows" | "throughVersion" | "more">,
  facts: PageFacts,
): Page {
  const messages: InboxMessage[] = [];
  let bytes = 0;
  let version = facts.afterVersion;
  for (const rows of byVersion(changes.rows)) {
    const found = rows.map((row) => messageOf(row, facts.sequences));
    // What waits is not "more": syncing again at once would not bring it.
    if (found.includes("unnumbered")) return { messages, version, more: false };
    const ready = found.filter((m) => typeof m === "object");
    const size = ready.reduce((sum, message) => sum + sizeOf(message), 0);
    if (messages.length > 0 && bytes + size > facts.bytesMax) {
      return { messages, version, more: true };
    }
    messages.push(...ready);
    bytes += size;
    version = rows[0]!.version;
  }
  return { messages, version: Math.max(version, changes.throughVersion), more: changes.more };
}

function byVersion(rows: readonly InboxRow[]): InboxRow[][] {
  const groups: InboxRow[][] = [];
  for (const row of rows) {
    const last = groups.at(-1);
    if (last !== undefined && last[0]!.version === row.version) last.push(row);
    else groups.push([row]);
  }
  return groups;
}

function messageOf(
  { row }: InboxRow,
  sequences: ReadonlyMap<string, number>,
): InboxMessage | "unnumbered" | "not shown" {
  if (row?.case === "delivered") return row.value;
  if (row?.case !== "committed" || row.value.recipientId === "") return "not shown";
  const { messageId, conversationId, senderId, clientMessageId, text, acceptedAtMs } = row.value;
  const sequence = sequences.get(messageId) ?? 0;
  if (sequence === 0) return "unnumbered";
  return {
    ...{ messageId, conversationId, sequence, senderId, clientMessageId, text, acceptedAtMs },
    notice: undefined,
  };
}

/** About what a message takes in a reply: a character of its text is counted as one byte. */
function sizeOf(message: InboxMessage): number {
  return message.text.length + 128;
}

/** The user's own messages of a page, as committed. */
export function committedIn(rows: readonly InboxRow[]): CommittedMessage[] {
  return rows.flatMap(({ row }) => (row?.case === "committed" ? [row.value] : []));
}
