import { expect, test } from "vitest";
import { NoticeKind } from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  EntryOutcomeRefusal,
  GroupEntryKind,
  makeGroupEntry,
  makeGroupMemberRecord,
  makeGroupProfile,
} from "../../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { type PlannedBatch, planBatch, type SlotEntry } from "./batch.ts";
import { type GroupState, LEFT_KEPT_MAX } from "./group-state.ts";

const KINDS: Record<string, GroupEntryKind> = {
  msg: GroupEntryKind.MESSAGE,
  join: GroupEntryKind.JOIN,
  leave: GroupEntryKind.LEAVE,
  created: GroupEntryKind.CREATED,
  strange: 99,
};

/** "12 msg m1 ann" is slot 12; "12 void" holds nothing. */
function entryOf(script: string): SlotEntry {
  const [slot, kind, id, userId] = script.split(" ");
  if (kind === "void") return { slot: Number(slot), entry: undefined };
  const text = kind === "msg" ? "x".repeat(10) : "";
  const ids = { id: id!, userId: userId! };
  const entry = makeGroupEntry({ ...ids, kind: KINDS[kind!]!, text, acceptedAtMs: 1 });
  return { slot: Number(slot), entry };
}

/** "ann:1" is a member since 1, "bob:1-6" left at 6. */
function membersOf(script: string): GroupState["members"] {
  const records = script.split(" ").map((member) => {
    const [userId, since, left] = member.split(/[:-]/) as [string, string, string?];
    const sequences = { sinceSequence: Number(since), leftSequence: Number(left ?? 0) };
    return makeGroupMemberRecord({ userId, ...sequences });
  });
  return new Map(records.map((record) => [record.userId, record]));
}

const GROUP_LIMITS = { membersMax: 4, acceptAboveMembers: 4, invitesMax: 2 };

/** At slot 4 and sequence 6, delivered. */
function stateWith(members: string): GroupState {
  return {
    ...{
      groupId: "g",
      profile: makeGroupProfile({ ownerId: "olga" }),
      members: membersOf(members),
    },
    ...{ invites: new Map(), lastSequence: 6, offset: 4, deliveredSequence: 6 },
  };
}

function show(planned: PlannedBatch | undefined): string[] {
  if (planned === undefined) return ["nothing to do"];
  const { request, after } = planned;
  const lines = request.messages.map(({ sequence, messageId, notice }) => {
    const kind = Object.entries(NoticeKind).find(([, kind]) => kind === notice?.kind)?.[0];
    return `${sequence} ${messageId}${kind === undefined ? "" : ` ${kind} ${notice!.userId}`}`;
  });
  for (const { entryId, refusal, sequence } of request.refused) {
    const [name] = Object.entries(EntryOutcomeRefusal).find(([, value]) => value === refusal)!;
    lines.push(`${entryId} ${name}${sequence > 0 ? ` since ${sequence}` : ""}`);
  }
  for (const { userId, sinceSequence, leftSequence } of request.members) {
    lines.push(`${userId}:${sinceSequence}${leftSequence > 0 ? `-${leftSequence}` : ""}`);
  }
  for (const userId of request.forgotten) lines.push(`forget ${userId}`);
  lines.push(`slots ${request.fromSlot} to ${request.throughSlot}`);
  expect(after.offset).toBe(request.throughSlot);
  expect(after.lastSequence).toBe(request.lastSequence + request.messages.length);
  return lines;
}

// Every group here is at slot 4 and sequence 6, delivered; at most 4 members, 3 messages, 35 bytes.
test.each<{ what: string; members?: string; entries: string[]; worked?: string; plan: string[] }>([
  { what: "nothing", entries: [], plan: ["nothing to do"] },
  {
    what: "messages, one after another",
    entries: ["5 msg m1 ann", "6 msg m2 bob"],
    plan: ["7 m1", "8 m2", "slots 4 to 6"],
  },
  {
    what: "a message whose sender has left since it was accepted",
    entries: ["5 msg m1 zoe"],
    plan: ["7 m1", "slots 4 to 5"],
  },
  {
    what: "what was worked off before, and void slots",
    entries: ["3 msg m0 ann", "4 void", "5 void", "6 msg m1 ann"],
    plan: ["7 m1", "slots 4 to 6"],
  },
  { what: "a gap in front", entries: ["6 msg m1 ann"], plan: ["nothing to do"] },
  {
    what: "a gap between",
    entries: ["5 msg m1 ann", "7 msg m2 ann"],
    plan: ["7 m1", "slots 4 to 5"],
  },
  {
    what: "an entry that came twice",
    entries: ["5 msg m1 ann", "6 msg m1 ann", "7 msg m2 ann"],
    plan: ["7 m1", "8 m2", "slots 4 to 7"],
  },
  {
    what: "an entry that was numbered long ago",
    entries: ["5 msg m1 ann", "6 msg m2 ann"],
    worked: "m1",
    plan: ["7 m2", "slots 4 to 6"],
  },
  {
    what: "only entries of long ago",
    entries: ["5 msg m1 ann"],
    worked: "m1",
    plan: ["slots 4 to 5"],
  },
  {
    what: "full by messages",
    entries: ["5 msg m1 ann", "6 msg m2 ann", "7 msg m3 ann", "8 msg m4 ann"],
    plan: ["7 m1", "8 m2", "9 m3", "slots 4 to 7"],
  },
  {
    what: "the notice of a new group",
    entries: ["5 created c1 ann"],
    plan: ["7 c1 CREATED ann", "slots 4 to 5"],
  },
  {
    what: "a join between messages",
    entries: ["5 msg m1 ann", "6 join j1 cid", "7 msg m2 cid"],
    plan: ["7 m1", "8 j1 JOINED cid", "9 m2", "cid:8", "slots 4 to 7"],
  },
  {
    what: "a join of a member",
    entries: ["5 join j1 bob"],
    plan: ["j1 MEMBER_ALREADY since 3", "slots 4 to 5"],
  },
  {
    what: "a join twice",
    entries: ["5 join j1 cid", "6 join j2 cid"],
    plan: ["7 j1 JOINED cid", "j2 MEMBER_ALREADY since 7", "cid:7", "slots 4 to 6"],
  },
  {
    what: "a join into a full group, until somebody leaves",
    members: "ann:1 bob:1 cid:1 dan:1",
    entries: ["5 join j1 eve", "6 leave l1 bob", "7 join j2 eve"],
    plan: ["7 l1 LEFT bob", "8 j2 JOINED eve", "j1 FULL", "bob:1-7", "eve:8", "slots 4 to 7"],
  },
  {
    what: "a leave",
    entries: ["5 leave l1 bob"],
    plan: ["7 l1 LEFT bob", "bob:3-7", "slots 4 to 5"],
  },
  {
    what: "a leave of a stranger, and twice",
    entries: ["5 leave l1 zoe", "6 leave l2 bob", "7 leave l3 bob"],
    plan: ["7 l2 LEFT bob", "l1 NOT_A_MEMBER", "l3 NOT_A_MEMBER", "bob:3-7", "slots 4 to 7"],
  },
  {
    what: "coming back waits until the leave is delivered",
    entries: ["5 leave l1 bob", "6 join j1 bob"],
    plan: ["7 l1 LEFT bob", "bob:3-7", "slots 4 to 5"],
  },
  {
    what: "coming back after the leave was delivered",
    members: "ann:1 bob:3-6",
    entries: ["5 join j1 bob"],
    plan: ["7 j1 JOINED bob", "bob:7", "slots 4 to 5"],
  },
  {
    what: "who left is forgotten when the leave was delivered",
    members: "ann:1 bob:3-6",
    entries: ["5 msg m1 ann"],
    plan: ["7 m1", "forget bob", "slots 4 to 5"],
  },
  {
    what: "an entry of a kind nobody knows",
    entries: ["5 strange s1 ann"],
    plan: ["s1 NOT_UNDERSTOOD", "slots 4 to 5"],
  },
])("batch: $what", ({ members = "ann:1 bob:3", entries, worked = "", plan }) => {
  const state = stateWith(members);
  const limits = { ...GROUP_LIMITS, entriesMax: 3, bytesMax: 35 };
  const known = new Set(worked.split(" "));
  expect(show(planBatch(state, entries.map(entryOf), { ...limits, worked: known }))).toEqual(plan);
});

test("batch: full by bytes, and a single message over the limit goes alone", () => {
  const state = stateWith("ann:1");
  const limits = { ...GROUP_LIMITS, entriesMax: 9, worked: new Set<string>() };
  const entries = ["5 msg m1 ann", "6 msg m2 ann", "7 msg m3 ann"].map(entryOf);
  expect(planBatch(state, entries, { ...limits, bytesMax: 25 })!.request.messages).toHaveLength(2);
  expect(planBatch(state, entries, { ...limits, bytesMax: 5 })!.request.messages).toHaveLength(1);
});

test("batch: the state afterwards is what the table will hold", () => {
  const state = stateWith("ann:1 bob:3-6");
  const entries = ["5 join j1 cid", "6 leave l1 ann"].map(entryOf);
  const worked = new Set<string>();
  const limits = { ...GROUP_LIMITS, entriesMax: 9, bytesMax: 99, worked };
  const { after } = planBatch(state, entries, limits)!;
  expect(after.members).toEqual(membersOf("ann:1-8 cid:7"));
  expect(after.deliveredSequence).toBe(6);
  expect(state.members).toEqual(membersOf("ann:1 bob:3-6"));
});

test("batch: who was kicked, or left while muted, stays known; of many the last", () => {
  const left = (userId: string, leftSequence: number, facts: object) =>
    makeGroupMemberRecord({ userId, sinceSequence: 1, leftSequence, ...facts });
  const many = Array.from({ length: LEFT_KEPT_MAX - 1 }, (_, i) =>
    left(`many${i}`, 5, { kicked: true }),
  );
  const records = [
    ...[left("ann", 2, { mutedUntilMs: 1 }), left("bob", 4, { mutedUntilMs: 2 })],
    ...[left("cid", 3, { kicked: true }), left("dan", 6, {}), ...many],
  ];
  const members = new Map(records.map((record) => [record.userId, record]));
  const state = { ...stateWith("olga:1"), members };
  const planned = planBatch(state, [entryOf("5 msg m1 olga")], {
    ...{ ...GROUP_LIMITS, entriesMax: 10, bytesMax: 1_000, worked: new Set<string>() },
  });
  expect(planned!.request.forgotten).toEqual(["ann", "cid", "dan"]);
  expect(planned!.after.members.get("bob")).toBeDefined();
});
