/** The doors of groups, and who may pass each. */
import {
  type ApplyEntriesReply,
  type ApplyEntriesRequest,
  type CreateGroupDataReply,
  type CreateGroupDataRequest,
  type EntryOutcome,
  EntryOutcomeRefusal,
  type EntryOutcomesReply,
  type EntryOutcomesRequest,
  type GroupMemberRecord,
  type GroupMessagesReply,
  type GroupMessagesRequest,
  type MembershipReply,
  type MembershipRequest,
  type ReadGroupReply,
  type ReadGroupRequest,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { type Key, Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, type CallOptions, forward } from "../../svrkit/call.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { levelOf } from "../consistency.ts";
import { firstRows } from "../page.ts";
import type { GroupDataOptions } from "./config.ts";
import {
  applyChange,
  createChange,
  groupKey,
  MARKS,
  MEMBER_ROWS,
  memberRowKey,
  messagesAfter,
  outcomeRowKey,
  PROFILE_ROW,
  readMember,
  readMessage,
  readOutcome,
  readProfile,
} from "./rows.ts";

const WORKER = "fanout";
const OUTCOMES_MAX = 1_000;

export class GroupDataHandlers {
  readonly #kv: KvClient;
  readonly #tickets: TicketVerifier;
  readonly #options: GroupDataOptions;

  constructor(kv: KvClient, tickets: TicketVerifier, options: GroupDataOptions) {
    this.#kv = kv;
    this.#tickets = tickets;
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
    const memberRow = memberRowKey(userId);
    const { rows } = await this.#kv.getRows(
      {
        key: groupKey(groupId),
        rows: [PROFILE_ROW, memberRow],
        marks: [],
        level: levelOf(consistency),
      },
      forward(call),
    );
    const groupExists = rows.some((row) => PROFILE_ROW.equals(row.row));
    const record = rows.find((row) => memberRow.equals(row.row));
    const member = record !== undefined && readMember(record.value).leftSequence === 0;
    return { groupExists, member: groupExists && member };
  }

  /**
   * Marks first, members after: a change between the two reads leaves members newer than the marks,
   * and whoever plans on that finds its offset passed by.
   */
  async read({ groupId, consistency }: ReadGroupRequest, call: Call): Promise<ReadGroupReply> {
    const key = groupKey(groupId);
    const level = levelOf(consistency);
    const options = forward(call);
    const userId = call.caller === WORKER ? undefined : this.#tickets.userOf(call).userId;
    const head = await this.#kv.getRows({ key, rows: [PROFILE_ROW], marks: MARKS, level }, options);
    const [profile] = head.rows;
    if (profile === undefined) return NO_GROUP;
    const members = await this.#members(key, level, options);
    const isMember = members.some((m) => m.userId === userId && m.leftSequence === 0);
    if (userId !== undefined && !isMember) {
      throw new RpcError("PERMISSION_DENIED", `you are not a member of group ${groupId}`);
    }
    const [offset = 0, lastSequence = 0, deliveredSequence = 0] = head.marks;
    const { title } = readProfile(profile.value);
    return { exists: true, title, members, lastSequence, offset, deliveredSequence };
  }

  async #members(key: Key, level: Level, options: CallOptions): Promise<GroupMemberRecord[]> {
    const members: GroupMemberRecord[] = [];
    for (let first = MEMBER_ROWS.first; ; ) {
      const page = await this.#kv.scanRows(
        { key, first, end: MEMBER_ROWS.end, limit: 0, level, reverse: false },
        options,
      );
      for (const row of page.rows) members.push(readMember(row.value));
      const last = page.rows.at(-1);
      if (!page.more || last === undefined) return members;
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
    requireCaller(call, [WORKER], "reading a group's messages");
    const { first, end } = messagesAfter(request.afterSequence);
    const key = groupKey(request.groupId);
    const scan = { key, first, end, limit: request.limit, level: Level.STRONG, reverse: false };
    const page = await this.#kv.scanRows(scan, forward(call));
    const rows = firstRows(page.rows, this.#options.pageBytesMax);
    return { messages: rows.map((row) => readMessage(row.value)) };
  }
}

const NO_GROUP: ReadGroupReply = {
  exists: false,
  title: "",
  members: [],
  lastSequence: 0,
  offset: 0,
  deliveredSequence: 0,
};

function notDone(entryId: string): EntryOutcome {
  return { entryId, done: false, sequence: 0, refusal: EntryOutcomeRefusal.UNSPECIFIED };
}
