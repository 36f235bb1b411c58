/**
 * What a device gets of its inbox's changes.
 *
 * A page stands for a version: it holds everything up to it and nothing above, so it is cut between
 * versions only. The user's own 1:1 messages lie there as committed; they go out with the number
 * that the conversation gave them. One that has none yet is on its way at this moment: the page ends
 * before it, and the device gets it with the next sync, unless it is lost (orphans.ts). The user's own
 * group messages are passed over, because fan-out puts them, numbered, into the sender's inbox like into
 * everybody's.
 */
import {
  type ConversationSetting,
  encodeConversationSetting,
  encodeInboxMessage,
  type GroupMembership,
  type InboxMessage,
} from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type {
  CommittedMessage,
  InboxChangesReply,
  InboxRow,
} from "../../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { committedAt, numbered } from "../../../data/message/client.ts";
import { toBytes } from "../../../svrkit/codec.ts";
import { LOST_AFTER_MS } from "./orphans.ts";

/** A message's numbers, times and marks, and the tags and lengths of its fields. */
const NUMBERS_BYTES = 64;
/** A group's id and a number. */
const MEMBERSHIP_BYTES = 128;

export interface Page {
  readonly messages: InboxMessage[];
  readonly settings: ConversationSetting[];
  readonly groups: GroupMembership[];
  /** The version that the page stands for. */
  readonly version: number;
  readonly more: boolean;
  /** It ends before an own message that is on its way. */
  readonly waits: boolean;
}

export interface PageFacts {
  readonly afterVersion: number;
  readonly bytesMax: number;
  readonly nowMs: number;
  /** By message id. */
  readonly sequences: ReadonlyMap<string, number>;
}

export function buildPage(
  changes: Pick<InboxChangesReply, "rows" | "throughVersion" | "more">,
  { afterVersion, bytesMax, ...facts }: PageFacts,
): Page {
  const rows = { messages: [], settings: [], groups: [] };
  let bytes = 0;
  let version = afterVersion;
  for (const own of byVersion(changes.rows)) {
    // What waits is not "more": syncing again at once would not bring it.
    if (own.some((row) => isOnItsWay(row, facts)))
      return { ...rows, version, more: false, waits: true };
    const size = own.reduce((sum, row) => sum + sizeOf(row), 0);
    if (bytes > 0 && bytes + size > bytesMax) return { ...rows, version, more: true, waits: false };
    for (const row of own) addRow(rows, row, facts.sequences);
    bytes += size;
    version = own[0]!.version;
  }
  const throughVersion = Math.max(version, changes.throughVersion);
  return { ...rows, version: throughVersion, more: changes.more, waits: false };
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

function isDirect(message: CommittedMessage): boolean {
  return message.recipientId !== "";
}

function isOnItsWay({ row }: InboxRow, facts: Pick<PageFacts, "nowMs" | "sequences">): boolean {
  if (row?.case !== "committed" || !isDirect(row.value)) return false;
  if (facts.sequences.get(row.value.messageId)) return false;
  return facts.nowMs - committedAt(row.value) <= LOST_AFTER_MS;
}

function addRow(
  page: Pick<Page, "messages" | "settings" | "groups">,
  { row }: InboxRow,
  sequences: PageFacts["sequences"],
): void {
  switch (row?.case) {
    case "delivered":
      page.messages.push(row.value);
      return;
    case "committed": {
      const sequence = sequences.get(row.value.messageId) ?? 0;
      if (sequence > 0) page.messages.push(numbered(row.value, sequence));
      return;
    }
    case "setting":
      page.settings.push(row.value);
      return;
    case "membership":
      page.groups.push(row.value);
      return;
  }
}

/** What a row takes in a reply, or a little more: a frame has no room for what was counted too low. */
function sizeOf({ row }: InboxRow): number {
  switch (row?.case) {
    case "delivered":
      return messageBytes(row.value);
    case "committed":
      return isDirect(row.value) ? messageBytes(numbered(row.value, 0)) : 0;
    case "setting":
      return toBytes(encodeConversationSetting, row.value).length;
    default:
      return MEMBERSHIP_BYTES;
  }
}

/** A message that is a text alone is not encoded for that: most are. */
function messageBytes(message: InboxMessage): number {
  if (message.content !== undefined || message.notice !== undefined) {
    return toBytes(encodeInboxMessage, message).length;
  }
  const { messageId, conversationId, senderId, clientMessageId, text } = message;
  const ids = messageId + conversationId + senderId + clientMessageId;
  return Buffer.byteLength(text) + Buffer.byteLength(ids) + NUMBERS_BYTES;
}

/** The user's own messages of a page, as committed. */
export function committedIn(rows: readonly InboxRow[]): CommittedMessage[] {
  return rows.flatMap(({ row }) => (row?.case === "committed" ? [row.value] : []));
}
