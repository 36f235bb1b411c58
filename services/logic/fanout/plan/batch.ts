/**
 * Planning one step of a group: the next entries of its queue stream become numbered messages and
 * notices, changes of the group, and refusals (decide.ts says which).
 *
 * Everything is decided here, in memory, because the worker is fenced: the step applies to exactly
 * the state it was planned on, or not at all.
 *
 * A user that left and comes back while the leave is not yet delivered would have one record for two
 * memberships, so the batch ends before such a join: the worker delivers before it takes the next.
 */
import type { InboxMessage } from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  type ApplyEntriesRequest,
  type EntryOutcome,
  type GroupEntry,
  GroupEntryKind,
  type GroupInviteRecord,
  type GroupMemberRecord,
  type GroupProfile,
} from "../../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { bodyBytes } from "./body.ts";
import { decide } from "./decide.ts";
import { type GroupState, isMember, staysKnown } from "./group-state.ts";
import {
  type Change,
  type DecidedNotice,
  type GroupLimits,
  type GroupView,
  isRefusal,
  type Refusal,
} from "./group-view.ts";

export interface SlotEntry {
  readonly slot: number;
  /** Undefined when nothing stands in the slot, or nothing that can be handled. */
  readonly entry: GroupEntry | undefined;
}

export interface BatchLimits extends GroupLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
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

class Batch implements GroupView {
  readonly #state: GroupState;
  readonly #limits: BatchLimits;
  readonly #worked: Set<string>;
  readonly #messages: InboxMessage[] = [];
  readonly #recalled: InboxMessage[] = [];
  readonly #refused: EntryOutcome[] = [];
  readonly #changed = new Map<string, GroupMemberRecord>();
  readonly #invites = new Map<string, GroupInviteRecord | undefined>();
  #profile: GroupProfile;
  #memberCount: number | undefined;
  #bytes = 0;
  /** When the newest entry was accepted. */
  #nowMs = 0;

  constructor(state: GroupState, limits: BatchLimits, worked: ReadonlySet<string>) {
    this.#state = state;
    this.#profile = state.profile;
    this.#limits = limits;
    this.#worked = new Set(worked);
  }

  get profile(): GroupProfile {
    return this.#profile;
  }

  get nextSequence(): number {
    return this.#state.lastSequence + this.#messages.length + 1;
  }

  get memberCount(): number {
    this.#memberCount ??= [...this.members()].filter(isMember).length;
    return this.#memberCount;
  }

  get inviteCount(): number {
    return this.#invitesAfter().size;
  }

  member(userId: string): GroupMemberRecord | undefined {
    return this.#changed.get(userId) ?? this.#state.members.get(userId);
  }

  members(): Iterable<GroupMemberRecord> {
    if (this.#changed.size === 0) return this.#state.members.values();
    return new Map([...this.#state.members, ...this.#changed]).values();
  }

  invite(userId: string): GroupInviteRecord | undefined {
    if (this.#invites.has(userId)) return this.#invites.get(userId);
    return this.#state.invites.get(userId);
  }

  /** false: the batch is full, or must end before this entry. */
  take(entry: GroupEntry | undefined): boolean {
    if (entry === undefined || entry.id === "" || this.#worked.has(entry.id)) return true;
    const bytes = bodyBytes(entry);
    const taken = this.#messages.length + this.#refused.length;
    const isOver = this.#bytes + bytes > this.#limits.bytesMax;
    if (taken > 0 && (isOver || taken >= this.#limits.entriesMax)) return false;
    if (this.#isLeaving(entry)) return false;
    this.#worked.add(entry.id);
    this.#bytes += bytes;
    this.#nowMs = Math.max(this.#nowMs, entry.acceptedAtMs);
    const decision = decide(entry, this, this.#limits);
    if (isRefusal(decision)) this.#refuse(entry, decision);
    else this.#carryOut(entry, decision);
    return true;
  }

  /** The entry would make somebody a member whose leave is not delivered yet. */
  #isLeaving({ kind, userId, subjectId }: GroupEntry): boolean {
    const joins = kind === GroupEntryKind.JOIN ? userId : subjectId;
    if (kind !== GroupEntryKind.JOIN && kind !== GroupEntryKind.INVITE) return false;
    return (this.member(joins)?.leftSequence ?? 0) > this.#state.deliveredSequence;
  }

  #carryOut(entry: GroupEntry, { notices, members, profile, uninvited }: Change): void {
    if (notices.length === 0) this.#number(entry, entry.id, undefined);
    for (const [i, notice] of notices.entries()) {
      this.#number(entry, i === 0 ? entry.id : `${entry.id}+${i}`, notice);
    }
    for (const member of members ?? []) this.#changed.set(member.userId, member);
    if (members !== undefined) this.#memberCount = undefined;
    for (const userId of uninvited ?? []) this.#invites.set(userId, undefined);
    this.#profile = profile ?? this.#profile;
    if (entry.recalled !== undefined) this.#recalled.push(entry.recalled);
  }

  #number(entry: GroupEntry, messageId: string, decided: DecidedNotice | undefined): void {
    const { userId: senderId, clientMessageId, acceptedAtMs, committedAtMs, content } = entry;
    const notice = decided && {
      ...{ kind: decided.kind, userId: decided.userId, untilMs: decided.untilMs ?? 0 },
    };
    const text = decided === undefined ? entry.text : (decided.text ?? "");
    this.#messages.push({
      ...{ messageId, conversationId: this.#state.groupId, sequence: this.nextSequence },
      ...{ senderId, clientMessageId, text, acceptedAtMs, notice, content },
      ...{ recalled: false, apartBytes: 0, committedAtMs },
    });
  }

  #refuse(entry: GroupEntry, { refusal, sequence, invite }: Refusal): void {
    const untilMs = invite?.expiresAtMs ?? 0;
    this.#refused.push({
      entryId: entry.id,
      done: true,
      sequence: sequence ?? 0,
      refusal,
      untilMs,
    });
    if (invite === undefined) return;
    for (const { userId, expiresAtMs } of this.#state.invites.values()) {
      if (expiresAtMs < entry.acceptedAtMs) this.#invites.set(userId, undefined);
    }
    this.#invites.set(invite.userId, invite);
  }

  planned(throughSlot: number): PlannedBatch {
    const { groupId, offset, lastSequence, deliveredSequence } = this.#state;
    const forgotten = this.#forgotten();
    let { members } = this.#state;
    if (forgotten.length > 0 || this.#changed.size > 0) {
      const changed = new Map([...members, ...this.#changed]);
      for (const userId of forgotten) changed.delete(userId);
      members = changed;
    }
    const profile = this.#profile;
    return {
      request: {
        ...{ groupId, fromSlot: offset, throughSlot, lastSequence, deliveredSequence, forgotten },
        ...{ messages: this.#messages, refused: this.#refused, recalled: this.#recalled },
        members: [...this.#changed.values()],
        profile: profile === this.#state.profile ? undefined : profile,
        invites: [...this.#invites.values()].filter((invite) => invite !== undefined),
        uninvited: [...this.#invites].filter(([, left]) => left === undefined).map(([id]) => id),
      },
      after: {
        ...{ groupId, profile, members, offset: throughSlot, deliveredSequence },
        invites: this.#invitesAfter(),
        lastSequence: lastSequence + this.#messages.length,
      },
    };
  }

  /** Who left, and has been told so. */
  #forgotten(): string[] {
    const { members, deliveredSequence } = this.#state;
    const gone = [...members.values()].filter(
      ({ userId, leftSequence }) =>
        leftSequence !== 0 && leftSequence <= deliveredSequence && !this.#changed.has(userId),
    );
    const known = staysKnown(gone, this.#nowMs);
    return gone.filter((record) => !known.has(record)).map(({ userId }) => userId);
  }

  #invitesAfter(): GroupState["invites"] {
    if (this.#invites.size === 0) return this.#state.invites;
    const invites = new Map(this.#state.invites);
    for (const [userId, invite] of this.#invites) {
      if (invite === undefined) invites.delete(userId);
      else invites.set(userId, invite);
    }
    return invites;
  }
}
