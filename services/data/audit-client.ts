/**
 * Inboxes and conversations as the operator's audit sees them: who may read the store's replicas may read
 * them, as `kv scan` does, and ids, numbers and times are all that is taken out; texts are not.
 */
import type { InboxMessage } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { decodeAccountRecord } from "../../protos/gen/tricampus/data/v1/account_codec.ts";
import { type Key, Level, type VersionedRow } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../kvsvr/client.ts";
import { LEAST } from "../svrkit/admission/priority.ts";
import { fromBytes, NO_BYTES } from "../svrkit/codec.ts";
import { nameKey } from "./account/keys.ts";
import { userKey } from "./account/rows.ts";
import { groupKey, isMessageRow, messagesAfter, outcomeRowKey, readMessage } from "./group/rows.ts";
import { inboxKey, ROW_KINDS, readRow } from "./inbox/rows.ts";
import { committedAt, usersOf } from "./message/client.ts";
import {
  conversationKey,
  messagesAfter as directMessagesAfter,
  readMessage as readDirectMessage,
} from "./message/rows.ts";
import { trimmedThrough } from "./trim.ts";

const PAGE = 1_000;
const NAME_CHARACTERS_MAX = 64;
const OPTIONS = { timeoutMs: 10_000, priority: LEAST };

/** A message as it lies in an inbox or in its conversation's table. */
export interface AuditedMessage {
  readonly conversationId: string;
  readonly sequence: number;
  readonly messageId: string;
  readonly senderId: string;
  readonly committedAtMs: number;
  readonly isNotice: boolean;
  readonly isRecalled: boolean;
  /** It takes another one back. */
  readonly isRecall: boolean;
}

/** What the user sent, as committed. */
interface AuditedSend {
  readonly conversationId: string;
  readonly messageId: string;
  readonly committedAtMs: number;
}

export interface AuditedInbox {
  readonly userId: string;
  /** By conversation: the number through which it was delivered. What is delivered may be gone, the mark stays. */
  readonly deliveredThrough: ReadonlyMap<string, number>;
  /** In the order in which they were delivered. */
  readonly delivered: readonly AuditedMessage[];
  readonly committed: readonly AuditedSend[];
  /** Groups that the user is in now, and since which sequence number. */
  readonly groups: ReadonlyMap<string, number>;
  /** Messages that the user has deleted: their rows are gone. */
  readonly hidden: ReadonlySet<string>;
  /** By conversation: how far the user has read. */
  readonly reads: ReadonlyMap<string, number>;
  /** Old rows were forgotten. */
  readonly isTrimmed: boolean;
}

export interface AuditedConversation {
  /** In the order of their numbers. */
  readonly messages: readonly AuditedMessage[];
}

export function placeOf({
  conversationId,
  sequence,
}: {
  conversationId: string;
  sequence: number;
}) {
  return `${conversationId}/${sequence}`;
}

export class AuditClient {
  readonly #kv: KvClient;

  constructor(kv: KvClient) {
    this.#kv = kv;
  }

  /**
   * The id of a user, by name or by id; undefined: there is none. A name goes before an id that looks the same,
   * as for clients; an id is known by what lies there for it.
   */
  async findUser(nameOrId: string): Promise<string | undefined> {
    if (nameOrId.length < 1 || nameOrId.length > NAME_CHARACTERS_MAX) return undefined;
    const named = await this.#kv.get({ key: nameKey(nameOrId), level: Level.STRONG }, OPTIONS);
    if (named.found) return fromBytes(decodeAccountRecord, named.value).userId;
    for (const key of [userKey(nameOrId), inboxKey(nameOrId)]) {
      const request = { key, rows: [], marks: [], level: Level.STRONG };
      if ((await this.#kv.getRows(request, OPTIONS)).version > 0) return nameOrId;
    }
    return undefined;
  }

  async inbox(userId: string): Promise<AuditedInbox> {
    const delivered: AuditedMessage[] = [];
    const committed: AuditedSend[] = [];
    const groups = new Map<string, number>();
    const hidden = new Set<string>();
    const reads = new Map<string, number>();
    // Read before the rows: what is delivered meanwhile is beyond the marks.
    const deliveredThrough = await this.#marks(userId);
    let isTrimmed = false;
    for (let afterVersion = 0; ; ) {
      const request = { key: inboxKey(userId), afterVersion, limit: PAGE, level: Level.STRONG };
      const page = await this.#kv.scanChanges(request, OPTIONS);
      isTrimmed ||= Object.values(ROW_KINDS).some(
        (rowPrefix) => trimmedThrough(page.trims, { rowPrefix, appendIds: false }) > 0,
      );
      for (const row of page.rows) {
        const read = readRow(row)?.row;
        if (read?.case === "delivered") delivered.push(audited(read.value));
        if (read?.case === "committed" && !read.value.recalled) {
          const { conversationId, messageId } = read.value;
          committed.push({ conversationId, messageId, committedAtMs: committedAt(read.value) });
        }
        if (read?.case === "membership" && read.value.sinceSequence > 0)
          groups.set(read.value.groupId, read.value.sinceSequence);
        if (read?.case !== "setting") continue;
        const { conversationId, setting } = read.value;
        if (setting?.case === "readSequence") reads.set(conversationId, setting.value);
        if (setting?.case === "hiddenSequence")
          hidden.add(placeOf({ conversationId, sequence: setting.value }));
      }
      if (!page.more) {
        const shared = { groups, hidden, reads, isTrimmed };
        return { userId, deliveredThrough, delivered, committed, ...shared };
      }
      afterVersion = page.throughVersion;
    }
  }

  /** 1:1 or group, by its id; messages above a sequence number. */
  async conversation(conversationId: string, above: number): Promise<AuditedConversation> {
    const isDirect = usersOf(conversationId).length > 0;
    const key = isDirect ? conversationKey(conversationId) : groupKey(conversationId);
    const after = isDirect ? directMessagesAfter : messagesAfter;
    const messages: AuditedMessage[] = [];
    for (let last = above; ; ) {
      const page = await this.#rows(key, after(last));
      for (const row of page.rows.filter(isMessageRow)) {
        const message = isDirect ? readDirectMessage(row) : readMessage(row.value);
        messages.push({ ...audited(message), conversationId });
        last = message.sequence;
      }
      if (!page.more) return { messages };
    }
  }

  async #marks(userId: string): Promise<Map<string, number>> {
    const marks = new Map<string, number>();
    for (let after: Uint8Array = NO_BYTES; ; ) {
      const request = { key: inboxKey(userId), after, limit: PAGE, level: Level.STRONG };
      const page = await this.#kv.scanMarks(request, OPTIONS);
      for (const { name, standsAt } of page.marks)
        marks.set(Buffer.from(name).toString(), standsAt);
      if (!page.more) return marks;
      after = page.marks.at(-1)!.name;
    }
  }

  /** A group decided not to take it: its sender was muted or gone meanwhile. */
  async wasRefused(groupId: string, messageId: string): Promise<boolean> {
    const rows = [outcomeRowKey(messageId)];
    const request = { key: groupKey(groupId), rows, marks: [], level: Level.STRONG };
    const { rows: found } = await this.#kv.getRows(request, OPTIONS);
    return found.some((row) => row.version > 0 && !row.deleted);
  }

  #rows(
    key: Key,
    range: { first: Buffer; end: Buffer },
  ): Promise<{ rows: VersionedRow[]; more: boolean }> {
    const request = { key, ...range, limit: PAGE, level: Level.STRONG, reverse: false };
    return this.#kv.scanRows(request, OPTIONS);
  }
}

function audited(message: InboxMessage): AuditedMessage {
  const { conversationId, sequence, messageId, senderId, notice, recalled } = message;
  return {
    ...{ conversationId, sequence, messageId, senderId, isRecalled: recalled },
    committedAtMs: committedAt(message),
    isNotice: notice !== undefined,
    isRecall: message.content?.body?.case === "recall",
  };
}
