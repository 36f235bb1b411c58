/**
 * Every operation of the client protocol by every role: owner, admin and member of a group, somebody who was
 * removed from it, a stranger, and a stranger whom the owner has blocked; and by tickets that are none. An
 * operation that is not in the table fails the test.
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Account } from "../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  Contact,
  makeContactPolicy,
  makeSetContactRequest,
} from "../protos/gen/tricampus/client/v1/contact_codec.ts";
import { Conversation } from "../protos/gen/tricampus/client/v1/conversation_codec.ts";
import {
  Group,
  JoinPolicy,
  makeSetGroupProfileRequest,
} from "../protos/gen/tricampus/client/v1/group_codec.ts";
import { Media, MediaKind } from "../protos/gen/tricampus/client/v1/media_codec.ts";
import { Moments } from "../protos/gen/tricampus/client/v1/moments_codec.ts";
import { Sync } from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import { makeSendRequest, Text } from "../protos/gen/tricampus/client/v1/text_codec.ts";
import { AccountData } from "../protos/gen/tricampus/data/v1/account_codec.ts";
import { ContactData } from "../protos/gen/tricampus/data/v1/contact_codec.ts";
import { GroupData } from "../protos/gen/tricampus/data/v1/group_codec.ts";
import { InboxData, makeCommittedMessage } from "../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { MessageData } from "../protos/gen/tricampus/data/v1/message_codec.ts";
import { CLIENT_METHODS } from "../services/access/methods.ts";
import { conversationOf } from "../services/data/message/client.ts";
import type { ServiceName } from "../services/platform/services.ts";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import type { Method } from "../services/svrkit/method.ts";
import { People, type Person } from "./testing/people.ts";

const ROLES = ["owner", "admin", "member", "kicked", "stranger", "blocked"] as const;
type Role = (typeof ROLES)[number];

/** ok; no: PERMISSION_DENIED; none: NOT_FOUND; state: FAILED_PRECONDITION; bad: INVALID_ARGUMENT. */
const WORDS: Readonly<Record<string, string>> = {
  PERMISSION_DENIED: "no",
  NOT_FOUND: "none",
  FAILED_PRECONDITION: "state",
  INVALID_ARGUMENT: "bad",
};

/** What each role gets: to a group, to the owner's own things, to a message or moment of the owner's. */
const EXPECTED = `
                        owner  admin  member kicked stranger blocked
Group/Get               ok     ok     ok     no     no       no
Group/ListMembers       ok     ok     ok     no     no       no
Group/Join              ok     ok     ok     no     no       no
Group/Leave             ok     ok     ok     state  state    state
Group/Invite            ok     ok     ok     no     no       no
Group/AcceptInvite      ok     ok     ok     no     no       no
Group/Kick              ok     ok     no     no     no       no
Group/Transfer          ok     no     no     no     no       no
Group/SetAdmin          ok     no     no     no     no       no
Group/Mute              ok     ok     no     no     no       no
Group/MuteAll           ok     ok     no     no     no       no
Group/SetProfile        ok     ok     no     no     no       no
Group/SetNickname       ok     ok     ok     no     no       no
Group/Dismiss           ok     no     no     no     no       no
Text/Send               ok     ok     ok     no     no       no
Text/Recall             ok     ok     no     no     no       no
Text/Bodies             ok     ok     ok     no     no       no
Conversation/ReadBy     ok     ok     ok     no     no       no
Conversation/History    ok     ok     ok     no     no       no
Media/Get               ok     ok     ok     none   none     none
Media/Share             ok     ok     ok     none   none     none
Media/Url               ok     ok     ok     none   none     none
Media/Put               ok     none   none   none   none     none
Media/Finish            ok     none   none   none   none     none
Media/Delete            ok     none   none   none   none     none
Moments/Get             ok     ok     ok     ok     none     none
Moments/Like            ok     ok     ok     ok     none     none
Moments/Comment         ok     ok     ok     ok     none     none
Moments/DeleteComment   ok     no     no     no     none     none
Moments/Delete          ok     no     no     no     none     none
Moments/ImageUrl        none   none   none   none   none     none
Contact/Ask             bad    ok     ok     ok     ok       ok
Contact/Answer          bad    ok     ok     ok     none     none
`;

/** About nobody but who asks: whoever has a ticket may. What they do to others is tested where they are. */
const OWN = [
  ...["Account/Renew", "Account/Find", "Account/Profiles", "Account/SetProfile"],
  ...["Account/SetSettings", "Account/LogOut", "Account/LogOutEverywhere"],
  ...["Account/ChangePassword", "Account/Delete"],
  ...["Contact/Remove", "Contact/Set", "Contact/SetTag", "Contact/DeleteTag", "Contact/Block"],
  ...["Contact/SetPolicy", "Conversation/Set", "Group/Create", "Media/Begin", "Moments/Post"],
  ...["Moments/Timeline", "Moments/Of", "Sync/Sync", "Text/SendMany"],
];

interface Scene {
  readonly people: Readonly<Record<Role, Person>>;
  readonly groupId: string;
  readonly message: { readonly sequence: number; readonly messageId: string };
  readonly mediaId: string;
  readonly momentId: string;
  readonly commentId: string;
  /** Somebody more in the group, who has nothing to lose. */
  readonly extra: Person;
}

/** One operation, on a ticket. `id`: of the request, where it has one. */
interface Asked {
  readonly name: string;
  run(scene: Scene, id: string, ticket: Uint8Array): Promise<unknown>;
}

const ask = <I, O>(method: Method<I, O>, request: (scene: Scene, id: string) => I): Asked => {
  const name = method.name.slice(method.name.lastIndexOf(".") + 1);
  const run = (scene: Scene, id: string, ticket: Uint8Array) => {
    const service = CLIENT_METHODS.get(name)!.service as ServiceName;
    return platform.callee(service, "access").call(method, request(scene, id), { ticket });
  };
  return { name, run };
};
const byName = (...asked: Asked[]): ReadonlyMap<string, Asked> =>
  new Map(asked.map((one) => [one.name, one]));
const ofExtra = ({ groupId, extra }: Scene, id: string) => {
  return { groupId, userId: extra.id, clientRequestId: id };
};
const inGroup = ({ groupId }: Scene, id: string) => ({ groupId, clientRequestId: id });
const shown = ({ mediaId, groupId }: Scene) => ({ mediaId, conversationId: groupId });
const own = ({ mediaId }: Scene) => ({ mediaId, conversationId: "" });
const moment = ({ momentId }: Scene) => ({ momentId });

const OPERATIONS = byName(
  ask(Group.get, inGroup),
  ask(Group.listMembers, inGroup),
  ask(Group.join, inGroup),
  ask(Group.leave, inGroup),
  ask(Group.invite, ({ groupId, extra }, clientRequestId) => {
    return { groupId, userIds: [extra.id], clientRequestId };
  }),
  ask(Group.acceptInvite, (s, id) => ({ ...inGroup(s, id), inviteId: "i1" })),
  ask(Group.kick, ofExtra),
  ask(Group.transfer, ofExtra),
  ask(Group.setAdmin, (s, id) => ({ ...ofExtra(s, id), admin: true })),
  ask(Group.mute, (s, id) => ({ ...ofExtra(s, id), forMs: 60_000 })),
  ask(Group.muteAll, (s, id) => ({ ...inGroup(s, id), muted: true })),
  ask(Group.setProfile, (s, id) =>
    makeSetGroupProfileRequest({ ...inGroup(s, id), title: "Another" }),
  ),
  ask(Group.setNickname, (s, id) => ({ ...inGroup(s, id), nickname: "N" })),
  ask(Group.dismiss, inGroup),
  ask(Text.send, ({ groupId: value }, clientMessageId) =>
    makeSendRequest({ clientMessageId, to: { case: "groupId", value }, text: "hello" }),
  ),
  ask(Text.recall, ({ groupId, message }, clientMessageId) => {
    return { clientMessageId, conversationId: groupId, ...message };
  }),
  ask(Text.bodies, ({ groupId, message }) => {
    return { groupId, sequences: [message.sequence] };
  }),
  ask(Conversation.readBy, ({ groupId, message }) => {
    return { groupId, sequence: message.sequence };
  }),
  ask(Conversation.history, ({ groupId: conversationId }) => {
    return { conversationId, beforeSequence: 0, limit: 10 };
  }),
  ask(Media.get, shown),
  ask(Media.share, ({ mediaId, groupId, extra }) => {
    const shownTo = { case: "userId", value: extra.id } as const;
    return { mediaId, fromConversationId: groupId, with: shownTo };
  }),
  ask(Media.url, (s) => ({ ...shown(s), thumbnail: false })),
  ask(Media.put, ({ mediaId }) => ({ mediaId, index: 0, data: Buffer.from("x") })),
  ask(Media.finish, own),
  ask(Media.delete, own),
  ask(Moments.get, moment),
  ask(Moments.like, (s) => ({ ...moment(s), liked: true })),
  ask(Moments.comment, (s, clientCommentId) => {
    return { ...moment(s), clientCommentId, text: "Nice", replyToUserId: "" };
  }),
  ask(Moments.deleteComment, (s) => {
    return { ...moment(s), commentId: s.commentId };
  }),
  ask(Moments.delete, moment),
  ask(Moments.imageUrl, (s) => {
    return { ...moment(s), mediaId: s.mediaId, thumbnail: false };
  }),
  ask(Contact.ask, ({ people: { owner } }) => ({ userId: owner.id, text: "" })),
  ask(Contact.answer, ({ people: { owner } }) => {
    return { userId: owner.id, accept: true };
  }),
);

/** For tickets that are none: anything that can be read. */
const OWN_REQUESTS = byName(
  ask(Account.renew, () => ({})),
  ask(Account.find, () => ({ name: "x" })),
  ask(Account.profiles, () => ({ userIds: ["07au1-1"] })),
  ask(Account.setProfile, () => ({ displayName: "X", avatarId: undefined, about: undefined })),
  ask(Account.setSettings, () => ({ settings: { hidesReading: false, hidesName: false } })),
  ask(Account.logOut, () => ({ device: "" })),
  ask(Account.logOutEverywhere, () => ({})),
  ask(Account.changePassword, () => ({ oldPassword: "a password", newPassword: "another one" })),
  ask(Account.delete, () => ({ password: "a password" })),
  ask(Contact.remove, () => ({ userId: "07au1-1" })),
  ask(Contact.set, () => makeSetContactRequest({ userId: "07au1-1" })),
  ask(Contact.setTag, () => ({ tag: { tagId: "t", name: "T" } })),
  ask(Contact.deleteTag, () => ({ tagId: "t" })),
  ask(Contact.block, () => ({ userId: "07au1-1", blocked: true })),
  ask(Contact.setPolicy, () => ({ policy: makeContactPolicy({}) })),
  ask(Conversation.set, () => ({ settings: [] })),
  ask(Group.create, () => ({ title: "G", members: [], clientRequestId: "c" })),
  ask(Media.begin, () => ({
    kind: MediaKind.FILE,
    mime: "text/plain",
    bytes: 1,
    chunks: [],
    name: "x",
  })),
  ask(Moments.post, () => ({
    clientMomentId: "c",
    text: "x",
    imageIds: [],
    visibility: undefined,
  })),
  ask(Moments.timeline, () => ({ cursor: "", limit: 0 })),
  ask(Moments.of, () => ({ userId: "07au1-1", cursor: "", limit: 0 })),
  ask(Sync.sync, () => ({ snapshot: Buffer.alloc(0), limit: 0, allParts: false })),
  ask(Text.sendMany, () => ({ sends: [] })),
);

const TAKES_AWAY = ["Group/Kick", "Text/Recall"];

let platform: WholePlatform;
let people: People;
let cast: Record<Role, Person>;

beforeAll(async () => {
  platform = await startWholePlatform();
  people = new People(platform.endpoints);
  const entries = ROLES.map(async (role, i) => {
    return [role, await people.online(role, { campus: "abc"[i % 3]! })] as const;
  });
  cast = Object.fromEntries(await Promise.all(entries)) as typeof cast;
  const { owner } = cast;
  for (const role of ["admin", "member", "kicked"] as const) {
    await owner.client.contacts.ask(cast[role].id);
    await cast[role].client.contacts.ask(owner.id);
  }
  await owner.client.contacts.block(cast.blocked.id);
});
afterAll(async () => {
  await people.close();
  await platform.stop();
});

/** A group with everybody in their roles, and a message, a medium and a moment of its owner's. */
async function newScene(): Promise<Scene> {
  const { owner, admin, member, kicked } = cast;
  const extra = await people.online(`extra${Math.random().toString(36).slice(2, 8)}`);
  const ids = [admin, member, kicked, extra].map(({ id }) => id);
  const groupId = await owner.client.groups.create("Roles", ids);
  await owner.client.groups.setAdmin(groupId, { userId: admin.id, admin: true });
  await owner.client.groups.kick(groupId, kicked.id);
  await owner.client.groups.setProfile(groupId, { joinPolicy: JoinPolicy.INVITED });
  const { messageId } = await owner.client.send({ groupId }, "a word of the owner's");
  const { messages } = await expectHistory(owner, groupId, messageId);
  const { sequence } = messages.find((one) => one.messageId === messageId)!;
  const source = Buffer.from("x");
  const { mediaId } = await owner.client.media.upload({
    ...{ kind: "file", mime: "text/plain", name: `${extra.name}.txt`, source },
  });
  await owner.client.media.share(mediaId, { conversationId: groupId });
  const momentId = await owner.client.moments.post({ text: "a moment" });
  const commentId = await owner.client.moments.comment(momentId, "mine");
  const message = { sequence, messageId };
  return { people: cast, groupId, message, mediaId, momentId, commentId, extra };
}

async function expectHistory({ client }: Person, groupId: string, messageId: string) {
  const read = () => client.conversations.history(groupId);
  await expect
    .poll(async () => (await read()).messages.map((one) => one.messageId))
    .toContain(messageId);
  return read();
}

function ticketOf(userId: string, { expired = false } = {}): Buffer {
  const issuedAtMs = Date.now() - 120_000;
  const expiresAtMs = expired ? Date.now() - 1_000 : Date.now() + 600_000;
  return platform.signer.sign({ userId, device: "phone", issuedAtMs, expiresAtMs });
}

async function outcomeOf(asked: Promise<unknown>): Promise<string> {
  return asked.then(
    () => "ok",
    (error) => WORDS[error.code] ?? error.code,
  );
}

const rows = EXPECTED.trim()
  .split("\n")
  .slice(1)
  .map((line) => line.trim().split(/\s+/) as [string, ...string[]]);

test("every operation that needs a ticket is in one of the tables", () => {
  const all = [...CLIENT_METHODS.values()].filter((one) => one.needsTicket).map((one) => one.name);
  expect([...rows.map(([name]) => name), ...OWN].sort()).toEqual(all.sort());
  expect([...OPERATIONS.keys()].sort()).toEqual(rows.map(([name]) => name).sort());
  expect([...OWN_REQUESTS.keys()].sort()).toEqual(OWN.toSorted());
});

test.each(rows)("%s by every role", async (name, ...expected) => {
  let scene = await newScene();
  const got = new Map<Role, string>();
  // From the least to the most, and anew where one takes away what the next one asks for.
  for (const role of ROLES.toReversed()) {
    if (TAKES_AWAY.includes(name)) scene = await newScene();
    const id = crypto.randomUUID();
    const asked = OPERATIONS.get(name)!.run(scene, id, ticketOf(cast[role].id));
    got.set(role, await outcomeOf(asked));
  }
  expect(ROLES.map((role) => `${role} ${got.get(role)}`)).toEqual(
    ROLES.map((role, i) => `${role} ${expected[i]}`),
  );
});

test("no ticket, an expired one, one that was changed, one of another key: never", async () => {
  const scene = await newScene();
  const good = ticketOf(cast.owner.id);
  const changed = Buffer.from(good);
  changed[70] = changed[70]! ^ 1;
  const forged = Buffer.concat([
    good.subarray(0, 1),
    createHash("sha512").digest(),
    good.subarray(65),
  ]);
  const tickets = [Buffer.alloc(0), ticketOf(cast.owner.id, { expired: true }), changed, forged];
  for (const { name, run } of [...OPERATIONS.values(), ...OWN_REQUESTS.values()]) {
    const atDoor = await Promise.all(tickets.map((ticket) => statusAtDoor(name, ticket)));
    expect([name, ...atDoor]).toEqual([name, ...tickets.map(() => 401)]);
    // Its sends have outcomes of their own, each as Text/Send has it.
    if (name === "Text/SendMany") continue;
    const got = await Promise.all(tickets.map((ticket) => outcomeOf(run(scene, "t", ticket))));
    expect([name, ...got]).toEqual([name, ...tickets.map(() => "UNAUTHENTICATED")]);
  }
});

async function statusAtDoor(name: string, ticket: Buffer): Promise<number> {
  const authorization = `Bearer ${ticket.toString("base64url")}`;
  const headers: Record<string, string> = ticket.length > 0 ? { authorization } : {};
  const url = `${platform.endpoints[1]!.url}/v1/${name}`;
  return (await fetch(url, { method: "POST", headers, body: "{}" })).status;
}

test("promise 7: with another user's ticket nobody's own data is read or changed, at its own door", async () => {
  const { owner, stranger } = cast;
  const ticket = ticketOf(stranger.id);
  const data = (service: ServiceName, caller: string) => platform.callee(service, caller);
  const userId = owner.id;
  const page = { userId, afterVersion: 0, limit: 10 };
  const conversationId = conversationOf(owner.id, cast.member.id);
  const message = makeCommittedMessage({
    clientMessageId: "x",
    senderId: userId,
    text: "not mine",
  });
  const strong = { consistency: 1 };
  const asked: readonly [string, Promise<unknown>][] = [
    [
      "inbox",
      data("inbox-data", "sync").call(InboxData.changes, { ...page, ...strong }, { ticket }),
    ],
    ["own messages", data("inbox-data", "text").call(InboxData.commit, { message }, { ticket })],
    ["account", data("account-data", "sync").call(AccountData.changes, page, { ticket })],
    ["contacts", data("contact-data", "sync").call(ContactData.changes, page, { ticket })],
    [
      "membership",
      data("group-data", "text").call(
        GroupData.membership,
        { groupId: "g", userId, ...strong },
        { ticket },
      ),
    ],
    [
      "conversation",
      data("message-data", "conversation").call(
        MessageData.read,
        { conversationId, afterSequence: 0, beforeSequence: 0, limit: 9, ...strong },
        { ticket },
      ),
    ],
  ];
  for (const [what, call] of asked) expect([what, await outcomeOf(call)]).toEqual([what, "no"]);
});
