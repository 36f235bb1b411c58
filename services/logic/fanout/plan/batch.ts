/**
 * Planning one step of a group: the next entries of its queue stream become numbered messages and
 * notices, changes of membership, and refusals.
 *
 * Everything is decided here, in memory, because the worker is fenced: the step applies to exactly
 * the state it was planned on, or not at all.
 *
 * A user that left and comes back while the leave is not yet delivered would have one record for two
 * memberships, so the batch ends before such a join: the worker delivers before it takes the next.
 */
import type {
  InboxMessage,
  Notice,
} from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { NoticeKind } from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  type ApplyEntriesRequest,
  type EntryOutcome,
  EntryOutcomeRefusal,
  type GroupEntry,
  GroupEntryKind,
  type GroupMemberRecord,
} from "../../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { type GroupState, isMember } from "./group-state.ts";

export interface SlotEntry {
  readonly slot: number;
  /** Undefined when nothing stands in the slot, or nothing that can be read. */
  readonly entry: GroupEntry | undefined;
}

export interface BatchLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
  readonly membersMax: number;
}

export interface PlannedBatch {
  readonly request: ApplyEntriesRequest;
  readonly after: GroupState;
}

/**
 * `entries`: consecutive slots, the first one directly after the offset. `worked`: ids of entries
 * that were worked off before. Undefined when there is nothing to do.
 */
export function planBatch(
  state: GroupState,
  entries: readonly SlotEntry[],
  { worked, ...limits }: BatchLimits & { worked: ReadonlySet<string> },
): PlannedBatch | undefined {
  const batch = new Batch(state, limits, worked);
  let throughSlot = state.offset;
  for (const { slot, entry } of entries) {
    if (slot <= throughSlot) continue;
    if (slot !== throughSlot + 1 || !batch.take(entry)) break;
    throughSlot = slot;
  }
  return throughSlot === state.offset ? undefined : batch.planned(throughSlot);
}

class Batch {
  readonly #state: GroupState;
  readonly #limits: BatchLimits;
  readonly #worked: Set<string>;
  readonly #messages: InboxMessage[] = [];
  readonly #refused: EntryOutcome[] = [];
  readonly #changed = new Map<string, GroupMemberRecord>();
  #memberCount: number | undefined;
  #bytes = 0;

  constructor(state: GroupState, limits: BatchLimits, worked: ReadonlySet<string>) {
    this.#state = state;
    this.#limits = limits;
    this.#worked = new Set(worked);
  }

  /** false: the batch is full, or must end before this entry. */
  take(entry: GroupEntry | undefined): boolean {
    if (entry === undefined || entry.id === "" || this.#worked.has(entry.id)) return true;
    const bytes = Buffer.byteLength(entry.text);
    const taken = this.#messages.length + this.#refused.length;
    const isOver = this.#bytes + bytes > this.#limits.bytesMax;
    if (taken > 0 && (isOver || taken >= this.#limits.entriesMax)) return false;
    if (entry.kind === GroupEntryKind.JOIN && this.#isLeaving(entry.userId)) return false;
    this.#worked.add(entry.id);
    this.#bytes += bytes;
    this.#carryOut(entry);
    return true;
  }

  #carryOut(entry: GroupEntry): void {
    switch (entry.kind) {
      case GroupEntryKind.MESSAGE:
        this.#number(entry, undefined);
        return;
      case GroupEntryKind.CREATED:
        this.#number(entry, NoticeKind.CREATED);
        return;
      case GroupEntryKind.JOIN:
        this.#join(entry);
        return;
      case GroupEntryKind.LEAVE:
        this.#leave(entry);
        return;
      default:
        this.#refuse(entry, EntryOutcomeRefusal.NOT_UNDERSTOOD, 0);
    }
  }

  #join(entry: GroupEntry): void {
    const record = this.#member(entry.userId);
    if (isMember(record)) {
      this.#refuse(entry, EntryOutcomeRefusal.MEMBER_ALREADY, record.sinceSequence);
    } else if (this.#count() >= this.#limits.membersMax) {
      this.#refuse(entry, EntryOutcomeRefusal.FULL, 0);
    } else {
      const { userId } = entry;
      const sinceSequence = this.#number(entry, NoticeKind.JOINED);
      this.#changed.set(userId, { userId, sinceSequence, leftSequence: 0 });
      this.#memberCount = this.#count() + 1;
    }
  }

  #leave(entry: GroupEntry): void {
    const record = this.#member(entry.userId);
    if (!isMember(record)) {
      this.#refuse(entry, EntryOutcomeRefusal.NOT_A_MEMBER, 0);
      return;
    }
    const count = this.#count();
    const leftSequence = this.#number(entry, NoticeKind.LEFT);
    this.#changed.set(entry.userId, { ...record, leftSequence });
    this.#memberCount = count - 1;
  }

  #isLeaving(userId: string): boolean {
    const left = this.#member(userId)?.leftSequence ?? 0;
    return left > this.#state.deliveredSequence;
  }

  #member(userId: string): GroupMemberRecord | undefined {
    return this.#changed.get(userId) ?? this.#state.members.get(userId);
  }

  #count(): number {
    this.#memberCount ??= [...this.#state.members.values()].filter(isMember).length;
    return this.#memberCount;
  }

  #number(entry: GroupEntry, kind: NoticeKind | undefined): number {
    const { id: messageId, userId: senderId, clientMessageId, text, acceptedAtMs } = entry;
    const { groupId: conversationId, lastSequence } = this.#state;
    const sequence = lastSequence + this.#messages.length + 1;
    const notice: Notice | undefined = kind === undefined ? undefined : { kind, userId: senderId };
    this.#messages.push({
      ...{ messageId, conversationId, sequence, senderId, clientMessageId, text, acceptedAtMs },
      notice,
    });
    return sequence;
  }

  #refuse({ id: entryId }: GroupEntry, refusal: EntryOutcomeRefusal, sequence: number): void {
    this.#refused.push({ entryId, done: true, sequence, refusal });
  }

  planned(throughSlot: number): PlannedBatch {
    const { groupId, offset, lastSequence, deliveredSequence } = this.#state;
    const forgotten = [...this.#state.members.values()]
      .filter((m) => m.leftSequence !== 0 && m.leftSequence <= deliveredSequence)
      .map((m) => m.userId)
      .filter((userId) => !this.#changed.has(userId));
    let { members } = this.#state;
    if (forgotten.length > 0 || this.#changed.size > 0) {
      const changed = new Map([...members, ...this.#changed]);
      for (const userId of forgotten) changed.delete(userId);
      members = changed;
    }
    return {
      request: {
        ...{ groupId, fromSlot: offset, throughSlot, lastSequence, deliveredSequence, forgotten },
        ...{ messages: this.#messages, refused: this.#refused },
        members: [...this.#changed.values()],
      },
      after: {
        ...{ groupId, members, offset: throughSlot, deliveredSequence },
        lastSequence: lastSequence + this.#messages.length,
      },
    };
  }
}
