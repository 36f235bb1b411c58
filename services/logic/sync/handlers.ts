/** Sync (M5): snapshot in; everything newer and a new snapshot out, in pages. */
import type { SyncReply, SyncRequest } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { SnapshotPayload } from "../../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import {
  Consistency,
  type InboxChangesReply,
  InboxData,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { type Call, type CallOptions, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { requireArgument } from "../../svrkit/errors.ts";
import { hasBug } from "../../svrkit/planted.ts";
import type { SnapshotSealer } from "../../svrkit/ticket/snapshot.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import type { Confirmations } from "./confirmations.ts";
import { NO_PARTS, type OtherParts } from "./other-parts.ts";
import type { OwnMessages } from "./own-messages.ts";
import { buildPage, committedIn } from "./plan/page.ts";
import { type Start, standingAt, startOf } from "./plan/start.ts";

const LIMIT_DEFAULT = 200;
const LIMIT_MAX = 1_000;
const PAGE_BYTES_MAX = 512 * 1024;

export interface SyncParts {
  readonly tickets: TicketVerifier;
  readonly snapshots: SnapshotSealer;
  readonly inboxes: Callee;
  readonly own: OwnMessages;
  readonly otherParts: Pick<OtherParts, "changes">;
  readonly confirmations: Pick<Confirmations, "begin" | "note">;
}

export class SyncHandlers {
  readonly #parts: SyncParts;

  constructor(parts: SyncParts) {
    this.#parts = parts;
  }

  async sync(request: SyncRequest, call: Call): Promise<SyncReply> {
    const { tickets, snapshots, own, confirmations } = this.#parts;
    const who = tickets.userOf(call);
    const { userId, device } = who;
    requireArgument(request.limit <= LIMIT_MAX, `a page has at most ${LIMIT_MAX} messages`);
    const versions = snapshots.open(who, request.snapshot);
    const limit = request.limit || LIMIT_DEFAULT;
    const options = forward(call);
    const { changes, start } = await this.#changes({ userId, versions, limit }, options);
    const nowMs = Date.now();
    const { messagesVersion } = versions;
    const confirmation = { userId, device, messagesVersion, atMs: nowMs };
    const isFirst = request.snapshot.length === 0 && !hasBug("first-sync-not-counted");
    if (isFirst) await confirmations.begin(confirmation, options);
    else confirmations.note(confirmation);
    const sent = committedIn(changes.rows);
    const sequences =
      sent.length === 0 ? new Map() : await own.numbers(sent, { ...options, nowMs });
    const afterVersion = start.messagesVersion;
    const page = buildPage(changes, { afterVersion, bytesMax: PAGE_BYTES_MAX, nowMs, sequences });
    const parts = request.allParts
      ? await this.#parts.otherParts.changes({ userId, versions, limit }, options)
      : { ...NO_PARTS, versions };
    const after = { ...parts.versions, ...standingAt(page.version, start) };
    const isSame = request.snapshot.length > 0 && isSamePlace(versions, after);
    const snapshot = isSame ? request.snapshot : snapshots.seal(who, after);
    const { account, contacts } = parts;
    const more = page.more || parts.more;
    return { ...page, account, contacts, snapshot, more, rebuild: start.rebuild };
  }

  /** What follows the device's snapshot; everything, when that is older than what is remembered. */
  async #changes(
    { userId, versions, limit }: { userId: string; versions: SnapshotPayload; limit: number },
    options: CallOptions,
  ): Promise<{ changes: InboxChangesReply; start: Start }> {
    const read = (afterVersion: number) => {
      const consistency = Consistency.STRONG;
      const question = { userId, afterVersion, limit, consistency };
      return this.#parts.inboxes.call(InboxData.changes, question, options);
    };
    const { messagesVersion } = versions;
    const changes = await read(messagesVersion);
    requireArgument(
      messagesVersion <= changes.version,
      `the snapshot is from the future (version ${messagesVersion}, the inbox is at ` +
        `${changes.version}): sync with an empty one`,
    );
    const start = startOf(versions, changes.forgottenVersion);
    if (start.messagesVersion === messagesVersion) return { changes, start };
    return { changes: await read(start.messagesVersion), start };
  }
}

function isSamePlace(one: SnapshotPayload, other: SnapshotPayload): boolean {
  return (
    one.messagesVersion === other.messagesVersion &&
    one.accountVersion === other.accountVersion &&
    one.contactsVersion === other.contactsVersion &&
    one.rebuiltVersion === other.rebuiltVersion
  );
}
