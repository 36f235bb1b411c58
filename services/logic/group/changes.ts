/**
 * Changes of a group: an entry in the group's queue stream, and what becomes of it.
 *
 * The caller waits until fan-out has worked off its entry, and asks with growing pauses instead of
 * being called back: the answer lies in the group's table whoever wrote it, so neither side needs to
 * know or outlive the other. An entry has its id from the request and from what is asked, so asking the
 * same again gives the first outcome, also to who is no member any more by then; and who asks for something
 * else under a request id of before is not answered with what became of that.
 */
import { createHash } from "node:crypto";
import {
  type EntryOutcome,
  EntryOutcomeRefusal,
  encodeGroupEntry,
  GroupData,
  type GroupEntry,
  GroupEntryKind,
  makeGroupEntry,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { Consistency } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { accepted, type Call, forward, remainingMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { toBytes } from "../../svrkit/codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { IdMaker } from "../../svrkit/ids.ts";
import { rest } from "../../svrkit/rest.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireClientId, requireId } from "../arguments.ts";
import type { GroupStreams } from "../group-streams.ts";

const PAUSE_FIRST_MS = 2;
const PAUSE_LAST_MS = 50;
/** Enough to tell apart what one user asks, and short, whatever its request ids are: the queue's are bounded. */
const FINGERPRINT_CHARACTERS = 32;

export interface ChangesParts {
  readonly tickets: TicketVerifier;
  readonly ids: IdMaker;
  readonly groups: Callee;
  readonly streams: Pick<GroupStreams, "append">;
}

export interface AskedChange extends Partial<GroupEntry> {
  readonly kind: number;
  readonly groupId: string;
  readonly clientRequestId: string;
  /** `untilMs` is so long after the request came. */
  readonly forMs?: number;
}

interface Placed {
  readonly entry: GroupEntry;
  /**
   * Under which a version of before 2026-11-28 put the same request into the stream. To be removed on
   * 2027-01-31: upgrades from such a version are over by then.
   */
  readonly earlierId: string;
}

export class GroupChanges {
  readonly #parts: ChangesParts;

  constructor(parts: ChangesParts) {
    this.#parts = parts;
  }

  /** Puts a change by the caller into the stream; resolves when it was decided. */
  async ask(asked: AskedChange, call: Call): Promise<EntryOutcome> {
    const [outcome] = await this.askAll([asked], call);
    return outcome!;
  }

  /** The same for several changes of one group. */
  async askAll(asked: readonly AskedChange[], call: Call): Promise<EntryOutcome[]> {
    const { userId } = this.#parts.tickets.userOf(call);
    const { groupId } = asked[0]!;
    requireId(groupId, "a group id");
    const entries = asked.map((one) => this.#placed(one, userId, call));
    const before = await this.#ifRefused(asked[0]!, { userId, entries, call });
    if (before !== undefined) return before;
    const [first, ...others] = entries;
    await this.append(groupId, first!.entry, call);
    for (const { entry } of others) await this.append(groupId, entry, accepted(call));
    return this.#outcomes(groupId, entries, accepted(call));
  }

  async append(groupId: string, entry: GroupEntry, call: Call): Promise<void> {
    await this.#parts.streams.append(groupId, entry, forward(call));
  }

  #placed(asked: AskedChange, userId: string, call: Call): Placed {
    const { groupId: _, clientRequestId, forMs = 0, ...facts } = asked;
    if (clientRequestId !== "") requireClientId(clientRequestId, "a client request id");
    const requestId = this.#requestId(clientRequestId, call);
    const id = `${userId}:${fingerprintOf({ ...facts, id: requestId, untilMs: forMs })}`;
    const entry = makeGroupEntry({ ...facts, id, userId, acceptedAtMs: Date.now() });
    const subject = facts.subjectId === undefined ? "" : `:${facts.subjectId}`;
    return { entry, earlierId: `${userId}:${requestId}${subject}` };
  }

  #requestId(clientRequestId: string, { operationId }: Call): string {
    if (clientRequestId !== "") return clientRequestId;
    if (operationId.length > 0) return Buffer.from(operationId).toString("hex");
    return this.#parts.ids.next();
  }

  /**
   * Who is no member has nothing to put into the stream, except to join. But who left, or was removed,
   * by an earlier try of the same request gets its outcome.
   */
  async #ifRefused(
    { kind, groupId }: AskedChange,
    { userId, entries, call }: { userId: string; entries: readonly Placed[]; call: Call },
  ): Promise<EntryOutcome[] | undefined> {
    const question = { groupId, userId, consistency: Consistency.STRONG };
    const answer = await this.#parts.groups.call(GroupData.membership, question, forward(call));
    if (answer.member) return undefined;
    if (answer.groupExists && kind === GroupEntryKind.JOIN) return undefined;
    const before = await this.#look(groupId, entries, call);
    if (before.every((outcome) => outcome.done)) return before;
    if (!answer.groupExists) throw new RpcError("NOT_FOUND", `there is no group ${groupId}`);
    if (kind === GroupEntryKind.LEAVE) throw notAMember("FAILED_PRECONDITION", groupId);
    throw notAMember("PERMISSION_DENIED", groupId);
  }

  /** What an earlier version put in during an upgrade came first: ours found it done, and was refused. */
  async #look(groupId: string, entries: readonly Placed[], call: Call): Promise<EntryOutcome[]> {
    const ids = entries.map(({ entry }) => entry.id);
    const entryIds = [...ids, ...entries.map(({ earlierId }) => earlierId)];
    const request = { groupId, entryIds };
    const reply = await this.#parts.groups.call(GroupData.entryOutcomes, request, forward(call));
    return ids.map((_, i) => {
      const earlier = reply.outcomes[ids.length + i]!;
      return earlier.done ? earlier : reply.outcomes[i]!;
    });
  }

  async #outcomes(
    groupId: string,
    entries: readonly Placed[],
    call: Call,
  ): Promise<EntryOutcome[]> {
    for (let pauseMs = PAUSE_FIRST_MS; ; pauseMs = Math.min(PAUSE_LAST_MS, pauseMs * 2)) {
      if (remainingMs(call) <= pauseMs) {
        const message =
          "the request is in the group's queue and was not worked off in time: ask again";
        throw new RpcError("DEADLINE_EXCEEDED", message);
      }
      await rest(pauseMs);
      const outcomes = await this.#look(groupId, entries, call);
      if (outcomes.every((outcome) => outcome.done)) return outcomes;
    }
  }
}

/** Of what was asked for, and under which request id: times that differ at every try are to be left out. */
function fingerprintOf(asked: Partial<GroupEntry>): string {
  const bytes = toBytes(encodeGroupEntry, makeGroupEntry(asked));
  return createHash("sha256").update(bytes).digest("hex").slice(0, FINGERPRINT_CHARACTERS);
}

function notAMember(code: "FAILED_PRECONDITION" | "PERMISSION_DENIED", groupId: string): RpcError {
  return new RpcError(code, `you are not a member of group ${groupId}`);
}

/** The sequence number of a change that took effect, 0 when there was nothing to do; throws otherwise. */
export function sequenceOf(outcome: EntryOutcome, groupId: string, membersMax: number): number {
  switch (outcome.refusal) {
    case EntryOutcomeRefusal.UNSPECIFIED:
    case EntryOutcomeRefusal.MEMBER_ALREADY:
      return outcome.sequence;
    case EntryOutcomeRefusal.NOTHING_TO_DO:
      return 0;
    case EntryOutcomeRefusal.FULL:
      throw full(membersMax);
    case EntryOutcomeRefusal.NOT_A_MEMBER:
      throw notAMember("FAILED_PRECONDITION", groupId);
    case EntryOutcomeRefusal.ROLE:
      throw new RpcError("PERMISSION_DENIED", `your role in group ${groupId} does not allow this`);
    case EntryOutcomeRefusal.SUBJECT:
      throw new RpcError("FAILED_PRECONDITION", "the user is no member, or not below you");
    case EntryOutcomeRefusal.NOT_INVITED:
      throw new RpcError(
        "PERMISSION_DENIED",
        `group ${groupId} takes whom a member invites; who was kicked, whom an admin invites`,
      );
    case EntryOutcomeRefusal.INVITE_EXPIRED:
      throw new RpcError("FAILED_PRECONDITION", "the invitation has expired: ask for another");
    case EntryOutcomeRefusal.DISMISSED:
      throw new RpcError("NOT_FOUND", `group ${groupId} was dismissed`);
    default:
      throw new RpcError("INTERNAL", `a change of a group was refused with ${outcome.refusal}`);
  }
}

export function full(membersMax: number): RpcError {
  return new RpcError(
    "RESOURCE_EXHAUSTED",
    `the group is full: ${membersMax} members are the limit`,
  );
}
