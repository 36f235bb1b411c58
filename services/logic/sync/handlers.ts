/** Sync (M5): snapshot in; everything newer and a new snapshot out, in pages. */
import type { SyncReply, SyncRequest } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { Consistency, InboxData } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { requireArgument } from "../../svrkit/errors.ts";
import type { SnapshotSealer } from "../../svrkit/ticket/snapshot.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import type { Confirmations } from "./confirmations.ts";
import type { OwnMessages } from "./own-messages.ts";
import { buildPage, committedIn } from "./plan/page.ts";

const LIMIT_DEFAULT = 200;
const LIMIT_MAX = 1_000;
const PAGE_BYTES_MAX = 512 * 1024;

export interface SyncParts {
  readonly tickets: TicketVerifier;
  readonly snapshots: SnapshotSealer;
  readonly inboxes: Callee;
  readonly own: OwnMessages;
  readonly confirmations: Pick<Confirmations, "note">;
}

export class SyncHandlers {
  readonly #parts: SyncParts;

  constructor(parts: SyncParts) {
    this.#parts = parts;
  }

  async sync(request: SyncRequest, call: Call): Promise<SyncReply> {
    const { tickets, snapshots, inboxes, own, confirmations } = this.#parts;
    const { userId, device } = tickets.userOf(call);
    requireArgument(request.limit <= LIMIT_MAX, `a page has at most ${LIMIT_MAX} messages`);
    const versions = snapshots.open({ userId, device }, request.snapshot);
    const afterVersion = versions.messagesVersion;
    const limit = request.limit || LIMIT_DEFAULT;
    const question = { userId, afterVersion, limit };
    const options = forward(call);
    const changes = await inboxes.call(
      InboxData.changes,
      { ...question, consistency: Consistency.STRONG },
      options,
    );
    requireArgument(
      afterVersion <= changes.version,
      `the snapshot is from the future (version ${afterVersion}, the inbox is at ` +
        `${changes.version}): sync with an empty one`,
    );
    const nowMs = Date.now();
    confirmations.note({ userId, device, messagesVersion: afterVersion, atMs: nowMs });
    const sent = committedIn(changes.rows);
    const sequences =
      sent.length === 0 ? new Map() : await own.numbers(sent, { ...options, nowMs });
    const facts = { afterVersion, bytesMax: PAGE_BYTES_MAX, sequences };
    const { messages, version, more } = buildPage(changes, facts);
    const snapshot =
      version === afterVersion && request.snapshot.length > 0
        ? request.snapshot
        : snapshots.seal({ userId, device }, { ...versions, messagesVersion: version });
    return { messages: [...messages], snapshot, more, version };
  }
}
