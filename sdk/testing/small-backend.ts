/**
 * The services behind access, small and in memory, for the tests of access and SDK: they keep the
 * protos' promises (ids, order, once, snapshots) and nothing else. One backend serves all campuses,
 * as the real store does.
 */
import { makePushRequest, Push } from "../../protos/gen/tricampus/access/v1/push_codec.ts";
import {
  Group,
  type GroupMember,
  makeGroupMember,
} from "../../protos/gen/tricampus/client/v1/group_codec.ts";
import {
  type InboxMessage,
  makeInboxMessage,
  makeSyncReply,
  Sync,
  type SyncReply,
  type SyncRequest,
} from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  type SendReply,
  type SendRequest,
  Text,
} from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import { standingAt, startOf } from "../../services/logic/sync/plan/start.ts";
import type { Call } from "../../services/svrkit/call.ts";
import type { Callee } from "../../services/svrkit/client.ts";
import { RpcError, requireArgument } from "../../services/svrkit/errors.ts";
import type { Server } from "../../services/svrkit/server.ts";
import type { SnapshotSealer } from "../../services/svrkit/ticket/snapshot.ts";
import type { TicketVerifier } from "../../services/svrkit/ticket/verify.ts";

const TEXT_BYTES_MAX = 64 * 1024;

export interface BackendParts {
  readonly tickets: TicketVerifier;
  readonly snapshots: SnapshotSealer;
}

interface Inbox {
  readonly rows: InboxMessage[];
}

export class SmallBackend {
  readonly #parts: BackendParts;
  readonly #inboxes = new Map<string, Inbox>();
  readonly #sent = new Map<string, SendReply>();
  readonly #sequences = new Map<string, number>();
  readonly #groups = new Map<string, { title: string; members: Map<string, GroupMember> }>();
  #ids = 0;
  /** Set by tests: what each call does before it is served. */
  beforeSend: (request: SendRequest) => Promise<void> = async () => {};
  /** Set by tests: what each call of Sync does before it is served. */
  beforeSync: () => void = () => {};
  /** Set by tests: devices that were not beyond it read everything anew. */
  forgottenVersion = 0;
  /** Set by tests: this version of an inbox is an own message on its way: no page goes so far. */
  unnumberedVersion = Number.POSITIVE_INFINITY;
  /** Set by tests: false: nobody is told of new messages. */
  pushes = true;
  /** Calls of Text/Send that came, and those with a good ticket. */
  calls = 0;
  sends = 0;
  syncs = 0;

  constructor(parts: BackendParts) {
    this.#parts = parts;
  }

  serve(server: Server, callees: { router: Callee; access: Callee }): void {
    server.add(Text.send, (request, call) => this.#send(request, call, callees));
    server.add(Sync.sync, (request, call) => this.#sync(request, call));
    server.add(Group.create, (request, call) => {
      const { userId } = this.#parts.tickets.userOf(call);
      const groupId = `g-${userId}-${request.clientRequestId}`;
      const members = [...new Set([userId, ...request.members])];
      this.#groups.set(groupId, {
        title: request.title,
        members: new Map(members.map((id) => [id, memberSince(id, 1)])),
      });
      return { groupId };
    });
    server.add(Group.join, (request, call) => {
      const { userId } = this.#parts.tickets.userOf(call);
      this.#group(request.groupId).members.set(userId, memberSince(userId, 2));
      return { sequence: 2 };
    });
    server.add(Group.leave, (request, call) => {
      this.#group(request.groupId).members.delete(this.#parts.tickets.userOf(call).userId);
      return { sequence: 3 };
    });
    server.add(Group.listMembers, (request) => {
      const { title, members } = this.#group(request.groupId);
      return { title, members: [...members.values()] };
    });
  }

  inbox(userId: string): InboxMessage[] {
    return this.#inbox(userId).rows;
  }

  async #send(
    request: SendRequest,
    call: Call,
    callees: { router: Callee; access: Callee },
  ): Promise<SendReply> {
    this.calls += 1;
    const { userId } = this.#parts.tickets.userOf(call);
    await this.beforeSend(request);
    this.sends += 1;
    const bytes = Buffer.byteLength(request.text);
    requireArgument(bytes > 0, "a message has at least 1 byte");
    if (bytes > TEXT_BYTES_MAX) throw new RpcError("TOO_LARGE", "a text has at most 64 KiB");
    const name = `${userId} ${request.clientMessageId}`;
    const before = this.#sent.get(name);
    if (before !== undefined) return before;
    const { members, conversationId, numbered } = this.#conversation(userId, request);
    const sequence = (this.#sequences.get(conversationId) ?? 0) + 1;
    this.#sequences.set(conversationId, sequence);
    this.#ids += 1;
    const { clientMessageId, text, content } = request;
    const place = { messageId: `m${this.#ids}`, conversationId, sequence };
    const about = {
      senderId: userId,
      clientMessageId,
      acceptedAtMs: Date.now(),
      content,
    };
    const reply = { ...place, sequence: numbered ? sequence : 0 };
    this.#sent.set(name, reply);
    await this.deliver(makeInboxMessage({ ...place, ...about, text }), members, callees);
    return reply;
  }

  /** Into every inbox, then to whoever is connected. */
  async deliver(
    message: InboxMessage,
    members: readonly string[],
    callees: { router: Callee; access: Callee },
  ): Promise<void> {
    // Of this moment: while the router is asked, others deliver.
    const versions = new Map(members.map((id) => [id, this.#inbox(id).rows.push(message)]));
    if (!this.pushes) return;
    const { locations } = await callees.router.call(Router.lookup, {
      userIds: [...members],
      takesIncomplete: true,
    });
    for (const [index, { campus }] of callees.access.peers.entries()) {
      const targets = locations
        .filter((location) => location.campus === campus)
        .map(({ number, userId }) => {
          const version = versions.get(userId)!;
          return { connection: number, userId, version, follows: version - 1 };
        });
      if (targets.length === 0) continue;
      const options = { order: [index], timeoutMs: 300 };
      await callees.access
        .call(Push.push, makePushRequest({ messages: [message], targets }), options)
        .catch(() => {});
    }
  }

  #conversation(userId: string, { to }: SendRequest) {
    if (to?.case === "groupId") {
      const { members } = this.#group(to.value);
      return { members: [...members.keys()], conversationId: to.value, numbered: false };
    }
    requireArgument(to?.case === "userId", "the message has no recipient");
    const both = [userId, to.value].sort();
    return { members: both, conversationId: both.join(":"), numbered: true };
  }

  #group(groupId: string) {
    const group = this.#groups.get(groupId);
    if (group === undefined) throw new RpcError("NOT_FOUND", `there is no group ${groupId}`);
    return group;
  }

  #inbox(userId: string): Inbox {
    let inbox = this.#inboxes.get(userId);
    if (inbox === undefined) {
      inbox = { rows: [] };
      this.#inboxes.set(userId, inbox);
    }
    return inbox;
  }

  #sync(request: SyncRequest, call: Call): SyncReply {
    this.syncs += 1;
    this.beforeSync();
    const who = this.#parts.tickets.userOf(call);
    const versions = this.#parts.snapshots.open(who, request.snapshot);
    const { rows } = this.#inbox(who.userId);
    requireArgument(versions.messagesVersion <= rows.length, "the snapshot is from the future");
    const start = startOf(versions, this.forgottenVersion);
    const full = Math.min(rows.length, start.messagesVersion + (request.limit || 200));
    const version = Math.min(full, this.unnumberedVersion - 1);
    const waits = version < full;
    const after = { ...versions, ...standingAt(version, start) };
    const snapshot = this.#parts.snapshots.seal(who, after);
    const messages = rows.slice(start.messagesVersion, version);
    const { rebuild } = start;
    const more = !waits && version < rows.length;
    return makeSyncReply({ messages, snapshot, version, more, rebuild, waits });
  }
}

function memberSince(userId: string, sinceSequence: number): GroupMember {
  return makeGroupMember({ userId, sinceSequence });
}
