/**
 * Who is to be rung for a message: its recipients without a connected device that have not muted the
 * conversation. Asked when the push goes out, so who came online meanwhile is left alone.
 */
import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { GroupData } from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { Consistency, InboxData } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { HookEntry } from "../../../protos/gen/tricampus/logic/v1/hook_codec.ts";
import { locate } from "../../router/client.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";

const TIMEOUT_MS = 3_000;
/** So long after a change of a mute the old one may count. */
const MUTES_REMEMBERED_MS = 10_000;

export interface AbsentParts {
  readonly router: Callee;
  readonly groups: Callee;
  readonly inboxes: Callee;
  readonly mutesRememberedMax: number;
  /** Milliseconds that only rise. */
  readonly now: () => number;
}

interface Mute {
  readonly muted: boolean;
  readonly untilMs: number;
}

export class Absent {
  readonly #parts: AbsentParts;
  readonly #mutes: RecentlyUsed<string, Mute>;

  constructor(parts: AbsentParts) {
    this.#parts = parts;
    this.#mutes = new RecentlyUsed(parts.mutesRememberedMax);
  }

  /** By message, in order: whom to ring. */
  async recipientsOf({ messages, recipientId }: HookEntry): Promise<string[][]> {
    const conversationId = messages[0]?.conversationId ?? "";
    const members = await this.#members(conversationId, recipientId);
    const isAbsent = await this.#absent([...members.keys()]);
    const muted = await this.#muted(conversationId, [...isAbsent]);
    return messages.map((message) =>
      [...isAbsent].filter((userId) => !muted.has(userId) && isFor(message, userId, members)),
    );
  }

  /** By user: the sequence number of the first message that it got. */
  async #members(conversationId: string, recipientId: string): Promise<Map<string, number>> {
    if (recipientId !== "") return new Map([[recipientId, 0]]);
    const request = { groupId: conversationId, consistency: Consistency.ANY };
    const options = { timeoutMs: TIMEOUT_MS };
    const { members } = await this.#parts.groups.call(GroupData.read, request, options);
    const there = members.filter(({ leftSequence }) => leftSequence === 0);
    return new Map(there.map(({ userId, sinceSequence }) => [userId, sinceSequence]));
  }

  async #absent(userIds: string[]): Promise<Set<string>> {
    const absent = new Set(userIds);
    if (absent.size === 0) return absent;
    const found = await locate(this.#parts.router, userIds, { timeoutMs: TIMEOUT_MS });
    for (const { userId } of found) absent.delete(userId);
    return absent;
  }

  async #muted(conversationId: string, userIds: readonly string[]): Promise<Set<string>> {
    const nowMs = this.#parts.now();
    const nameOf = (userId: string) => `${userId} ${conversationId}`;
    const knownOf = (userId: string) => {
      const known = this.#mutes.get(nameOf(userId));
      return known !== undefined && known.untilMs > nowMs ? known : undefined;
    };
    const muted = new Set(userIds.filter((userId) => knownOf(userId)?.muted));
    const unknown = userIds.filter((userId) => knownOf(userId) === undefined);
    if (unknown.length === 0) return muted;
    const request = { conversationId, userIds: unknown };
    const options = { timeoutMs: TIMEOUT_MS };
    const reply = await this.#parts.inboxes.call(InboxData.muted, request, options);
    for (const userId of reply.userIds) muted.add(userId);
    const untilMs = nowMs + MUTES_REMEMBERED_MS;
    for (const userId of unknown)
      this.#mutes.set(nameOf(userId), { muted: muted.has(userId), untilMs });
    return muted;
  }
}

function isFor(
  { senderId, sequence }: InboxMessage,
  userId: string,
  members: ReadonlyMap<string, number>,
): boolean {
  return userId !== senderId && sequence >= members.get(userId)!;
}
