/** The doors of groups, and who may pass each. */
import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  type ApplyEntriesReply,
  type ApplyEntriesRequest,
  type CreateGroupDataReply,
  type CreateGroupDataRequest,
  type EntryOutcome,
  EntryOutcomeRefusal,
  type EntryOutcomesReply,
  type EntryOutcomesRequest,
  type EraseMemberRequest,
  type GroupMemberRecord,
  type GroupMessagesReply,
  type GroupMessagesRequest,
  type GroupReadPositionsReply,
  type GroupReadPositionsRequest,
  type MarkGroupReadReply,
  type MarkGroupReadRequest,
  type MembershipReply,
  type MembershipRequest,
  makeMembershipReply,
  makeReadGroupReply,
  type ReadGroupReply,
  type ReadGroupRequest,
  type RetainGroupRequest,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import type { RetainReply } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import {
  type Key,
  Level,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, type CallOptions, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { levelOf } from "../consistency.ts";
import { viewOf } from "../inbox/view-client.ts";
import { firstRows } from "../page.ts";
import type { GroupDataOptions } from "./config.ts";
import { forget } from "./retain.ts";
import {
  applyChange,
  createChange,
  groupKey,
  INVITE_ROWS,
  MARKS,
  MEMBER_ROWS,
  memberRowKey,
  messagesAfter,
  messagesBefore,
  outcomeRowKey,
  PROFILE_ROW,
  readInvite,
  readMember,
  readMessage,
  readOutcome,
  readPositionChange,
  readProfile,
  readReadPosition,
  readsKey,
} from "./rows.ts";

const WORKER = "fanout";
/** Rings members that are not connected. */
const ALERTER = "hooks";
const OUTCOMES_MAX = 1_000;

interface Standing extends MembershipReply {
  /** The group's newest message. */
  readonly lastSequence: number;
}

type Member = GroupMemberRecord & Pick<Standing, "lastSequence">;

export interface GroupDataParts {
  readonly kv: KvClient;
  readonly tickets: TicketVerifier;
  readonly inboxes: Callee;
  readonly options: GroupDataOptions;
}

export class GroupDataHandlers {
  readonly #kv: KvClient;
  readonly #tickets: TicketVerifier;
  readonly #inboxes: Callee;
  readonly #options: GroupDataOptions;

  constructor({ kv, tickets, inboxes, options }: GroupDataParts) {
    this.#kv = kv;
    this.#tickets = tickets;
    this.#inboxes = inboxes;
    this.#options = options;
  }

  async create(request: CreateGroupDataRequest, call: Call): Promise<CreateGroupDataReply> {
    requireArgument(request.groupId !== "", "the group has no id");
    requireTicketOf(this.#tickets, call, [request.creatorId]);
    const change = createChange(request);
    const { applied } = await this.#kv.change(
      { key: groupKey(request.groupId), change },
      forward(call),
    );
    return { existed: !applied };
  }

  async membership(request: MembershipRequest, call: Call): Promise<MembershipReply> {
    const { groupId, userId, consistency } = request;
    requireTicketOf(this.#tickets, call, [userId]);
    return this.#membership(groupId, userId, { ...forward(call), level: levelOf(consistency) });
  }

  async #membership(
    groupId: string,
    userId: string,
    { level, ...options }: CallOptions & { level: Level },
  ): Promise<Standing> {
    const memberRow = memberRowKey(userId);
    const { rows, marks } = await this.#kv.getRows(
      { key: groupKey(groupId), rows: [PROFILE_ROW, memberRow], marks: MARKS, level },
      options,
    );
    const [numberedSlot = 0, lastSequence = 0] = marks;
    const profileRow = rows.find((row) => PROFILE_ROW.equals(row.row));
    const memberFound = rows.find((row) => memberRow.equals(row.row));
    const profile = profileRow && readProfile(profileRow.value);
    if (profile === undefined) return NOT_A_MEMBER;
    const record = memberFound && readMember(memberFound.value);
    if (profile.dismissed || record === undefined || record.leftSequence !== 0) {
      return { ...NOT_A_MEMBER, groupExists: !profile.dismissed };
    }
    return { groupExists: true, member: true, profile, record, numberedSlot, lastSequence };
  }

  async #requireMember(groupId: string, call: Call): Promise<Member> {
    const { userId } = this.#tickets.userOf(call);
    const options = { ...forward(call), level: Level.STRONG };
    const { groupExists, record, lastSequence } = await this.#membership(groupId, userId, options);
    if (!groupExists) throw new RpcError("NOT_FOUND", `there is no group ${groupId}`);
    if (record !== undefined) return { ...record, lastSequence };
    throw new RpcError("PERMISSION_DENIED", `you are not a member of group ${groupId}`);
  }

  /**
   * Marks first, members after: a change between the two reads leaves members newer than the marks,
   * and whoever plans on that finds its offset passed by.
   */
  async read({ groupId, consistency }: ReadGroupRequest, call: Call): Promise<ReadGroupReply> {
    const key = groupKey(groupId);
    const level = levelOf(consistency);
    const options = forward(call);
    const isWorker = call.caller === WORKER;
    const isOurs = isWorker || call.caller === ALERTER;
    const userId = isOurs ? undefined : this.#tickets.userOf(call).userId;
    const head = await this.#kv.getRows({ key, rows: [PROFILE_ROW], marks: MARKS, level }, options);
    const [profileRow] = head.rows;
    if (profileRow === undefined) return makeReadGroupReply({});
    const memberRows = await this.#scan({ key, ...MEMBER_ROWS, level }, options);
    const members = memberRows.map((row) => readMember(row.value));
    const isMember = members.some((m) => m.userId === userId && m.leftSequence === 0);
    if (userId !== undefined && !isMember) {
      throw new RpcError("PERMISSION_DENIED", `you are not a member of group ${groupId}`);
    }
    const inviteRows = isWorker ? await this.#scan({ key, ...INVITE_ROWS, level }, options) : [];
    const invites = inviteRows.map((row) => readInvite(row.value));
    const [offset = 0, lastSequence = 0, deliveredSequence = 0] = head.marks;
    const profile = readProfile(profileRow.value);
    const marks = { lastSequence, offset, deliveredSequence };
    return { exists: true, profile, members, invites, ...marks };
  }

  async #scan(
    range: { key: Key; first: Buffer; end: Buffer; level: Level },
    options: CallOptions,
  ): Promise<VersionedRow[]> {
    const rows: VersionedRow[] = [];
    for (let first: Uint8Array = range.first; ; ) {
      const request = { ...range, first, limit: 0, reverse: false };
      const page = await this.#kv.scanRows(request, options);
      rows.push(...page.rows);
      const last = page.rows.at(-1);
      if (!page.more || last === undefined) return rows;
      first = Buffer.concat([last.row, Buffer.from([0])]);
    }
  }

  async entryOutcomes(request: EntryOutcomesRequest, call: Call): Promise<EntryOutcomesReply> {
    if (call.caller !== WORKER) this.#tickets.userOf(call);
    const { groupId, entryIds } = request;
    requireArgument(
      entryIds.length <= OUTCOMES_MAX,
      `outcomes of at most ${OUTCOMES_MAX} entries can be asked for at once`,
    );
    const { rows } = await this.#kv.getRows(
      {
        key: groupKey(groupId),
        rows: [...new Set(entryIds)].map(outcomeRowKey),
        marks: [],
        level: Level.STRONG,
      },
      forward(call),
    );
    const known = new Map<string, EntryOutcome>();
    for (const row of rows) {
      const outcome = readOutcome(row.value);
      known.set(outcome.entryId, outcome);
    }
    return { outcomes: entryIds.map((id) => known.get(id) ?? notDone(id)) };
  }

  async apply(request: ApplyEntriesRequest, call: Call): Promise<ApplyEntriesReply> {
    requireCaller(call, [WORKER], "numbering a group's messages");
    const change = applyChange(request);
    const { applied } = await this.#kv.change(
      { key: groupKey(request.groupId), change },
      forward(call),
    );
    return { applied };
  }

  async messages(request: GroupMessagesRequest, call: Call): Promise<GroupMessagesReply> {
    const { groupId, beforeSequence, limit, held } = request;
    const { since, refusal } = await this.#readableSince(request, call);
    const after = Math.max(request.afterSequence, held ? 0 : since - 1);
    const reverse = beforeSequence > 0;
    const range = messagesAfter(after);
    const end = reverse ? messagesBefore(beforeSequence).end : range.end;
    const scan = { key: groupKey(groupId), ...range, end, limit, level: Level.STRONG, reverse };
    const page = await this.#kv.scanRows(scan, forward(call));
    const rows = firstRows(page.rows, this.#options.pageBytesMax);
    const all = rows.map((row) => readMessage(row.value));
    const messages = await this.#readable(all, { groupId, since }, call);
    if (messages.length === 0 && refusal !== undefined) throw refusal;
    return { messages, more: page.more || rows.length < page.rows.length };
  }

  /** From where on the caller may read; `refusal`: nothing but what it holds, when there is any. */
  async #readableSince(
    { groupId, held }: GroupMessagesRequest,
    call: Call,
  ): Promise<{ since: number; refusal?: RpcError }> {
    if (call.caller === WORKER) return { since: 0 };
    try {
      return { since: (await this.#requireMember(groupId, call)).sinceSequence };
    } catch (error) {
      const refusal = RpcError.from(error);
      if (!held || !["PERMISSION_DENIED", "NOT_FOUND"].includes(refusal.code)) throw refusal;
      return { since: Number.POSITIVE_INFINITY, refusal };
    }
  }

  async #readable(
    messages: InboxMessage[],
    { groupId, since }: { groupId: string; since: number },
    call: Call,
  ): Promise<InboxMessage[]> {
    const sequences = messages.map(({ sequence }) => sequence).filter((one) => one < since);
    if (sequences.length === 0) return messages;
    const request = { conversationId: groupId, sequences };
    const { held } = await viewOf(this.#inboxes, request, forward(call));
    return messages.filter(({ sequence }) => sequence >= since || held.includes(sequence));
  }

  async retain(request: RetainGroupRequest, call: Call): Promise<RetainReply> {
    requireCaller(call, ["retention"], "forgetting messages");
    return { forgottenVersion: await forget(this.#kv, request, forward(call)) };
  }

  /** account: that a user leaves goes through the stream; this is what does not. */
  async erase({ groupId, userId }: EraseMemberRequest, call: Call): Promise<RetainReply> {
    requireCaller(call, ["account"], "erasing a member");
    const operations = [{ operation: { case: "delete" as const, value: memberRowKey(userId) } }];
    const change = { guards: [], operations };
    const { version } = await this.#kv.change({ key: readsKey(groupId), change }, forward(call));
    return { forgottenVersion: version };
  }

  async markRead(request: MarkGroupReadRequest, call: Call): Promise<MarkGroupReadReply> {
    requireCaller(call, ["conversation"], "saying how far a member has read");
    const { groupId } = request;
    const { userId, lastSequence } = await this.#requireMember(groupId, call);
    const sequence = Math.min(request.sequence, lastSequence);
    if (sequence === 0) return {};
    const change = readPositionChange({ userId, sequence });
    const options = { ...forward(call), operationId: NO_BYTES };
    await this.#kv.change({ key: readsKey(groupId), change }, options);
    return {};
  }

  async readPositions(
    { groupId }: GroupReadPositionsRequest,
    call: Call,
  ): Promise<GroupReadPositionsReply> {
    await this.#requireMember(groupId, call);
    const range = { key: readsKey(groupId), ...MEMBER_ROWS, level: Level.STRONG };
    const rows = await this.#scan(range, forward(call));
    return { positions: rows.map((row) => readReadPosition(row.value)) };
  }
}

const NOT_A_MEMBER: Standing = { ...makeMembershipReply({}), lastSequence: 0 };

function notDone(entryId: string): EntryOutcome {
  return {
    entryId,
    done: false,
    sequence: 0,
    refusal: EntryOutcomeRefusal.UNSPECIFIED,
    untilMs: 0,
  };
}
