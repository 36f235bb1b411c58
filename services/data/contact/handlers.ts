/** The doors of contacts, and who may pass each. */
import {
  ContactRequestState,
  makeContactEntry,
} from "../../../protos/gen/tricampus/client/v1/contact_codec.ts";
import {
  type ChangeContactsReply,
  type ChangeContactsRequest,
  type ContactChangesReply,
  type ContactChangesRequest,
  type DeliverAnswerRequest,
  type DeliverContactReply,
  DeliverContactReplyOutcome,
  type DeliverContactRequest,
  type EraseContactsReply,
  type EraseContactsRequest,
  type OwnContactReply,
  type OwnContactRequest,
  type ReachReply,
  type ReachRequest,
} from "../../../protos/gen/tricampus/data/v1/contact_codec.ts";
import {
  type Guard,
  Level,
  type RowOperation,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, type CallOptions, forward } from "../../svrkit/call.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { firstVersions } from "../page.ts";
import { forgetAll } from "../trim.ts";
import type { ContactDataOptions } from "./config.ts";
import {
  ASKED_ROWS,
  BLOCKED_ROWS,
  blockedRow,
  CONTACT_ROWS,
  contactRow,
  contactsKey,
  contactToBe,
  openRequestOf,
  operationOf,
  othersIn,
  POLICY_ROW,
  type RowRange,
  readChange,
  readEntry,
  readPolicy,
  readRequest,
  readTag,
  requestOperation,
  requestRow,
  TAG_ROWS,
  userThatCounts,
} from "./rows.ts";

const CHANGES_MAX = 50;
const ATTEMPTS_MAX = 5;
/** Of contacts in one page of a sync: it shares a frame of 1 MiB with messages. */
const PAGE_BYTES_MAX = 256 * 1024;
const Outcome = DeliverContactReplyOutcome;

export class ContactHandlers {
  readonly #kv: KvClient;
  readonly #tickets: TicketVerifier;
  readonly #options: ContactDataOptions;

  constructor(kv: KvClient, tickets: TicketVerifier, options: ContactDataOptions) {
    this.#kv = kv;
    this.#tickets = tickets;
    this.#options = options;
  }

  async change(request: ChangeContactsRequest, call: Call): Promise<ChangeContactsReply> {
    const { userId } = this.#tickets.userOf(call);
    const { changes, open } = request;
    requireArgument(
      changes.length >= 1 && changes.length <= CHANGES_MAX,
      `1 to ${CHANGES_MAX} changes can be made at once`,
    );
    await this.#requireRoom(userId, changes, forward(call));
    const operations = changes.map((change) => operationOf(change, open));
    const { version } = await this.#kv.change(
      { key: contactsKey(userId), change: { guards: [], operations } },
      forward(call),
    );
    return { version };
  }

  /**
   * Whom the user has asked becomes a contact when the other side says so, which must find room then: so it counts
   * from the request on. What is there already may be written again, however much there is.
   */
  async #requireRoom(
    userId: string,
    changes: ChangeContactsRequest["changes"],
    options: CallOptions,
  ): Promise<void> {
    const { contactsMax, blockedMax } = this.#options;
    const adding = changes.flatMap(({ change }) => contactToBe(change) ?? []);
    if (adding.length > 0) {
      const ranges = [CONTACT_ROWS, ASKED_ROWS];
      await this.#requireFewer(userId, { adding, ranges, max: contactsMax }, options);
    }
    const blocking = changes.flatMap(({ change }) =>
      change?.case === "blocked" ? [change.value] : [],
    );
    if (blocking.length > 0) {
      const facts = { adding: blocking, ranges: [BLOCKED_ROWS], max: blockedMax };
      await this.#requireFewer(userId, facts, options);
    }
  }

  async #requireFewer(
    userId: string,
    { adding, ranges, max }: { adding: string[]; ranges: RowRange[]; max: number },
    options: CallOptions,
  ): Promise<void> {
    const there = new Set<string>();
    for (const range of ranges) {
      for await (const row of this.#rows(userId, range, options)) {
        const other = userThatCounts(row);
        if (other !== undefined) there.add(other);
      }
    }
    const fresh = adding.filter((other) => !there.has(other)).length;
    if (fresh === 0 || there.size + fresh <= max) return;
    throw new RpcError("RESOURCE_EXHAUSTED", `${max} of these are the limit`);
  }

  async *#rows(
    userId: string,
    range: RowRange,
    options: CallOptions,
  ): AsyncGenerator<VersionedRow, void> {
    const scan = { key: contactsKey(userId), ...range, level: Level.ANY, reverse: false };
    for (let first: Uint8Array = range.first; ; ) {
      const page = await this.#kv.scanRows({ ...scan, first, limit: 1_000 }, options);
      yield* page.rows;
      const last = page.rows.at(-1);
      if (!page.more || last === undefined) return;
      first = Buffer.concat([last.row, Buffer.from([0])]);
    }
  }

  async own({ userId }: OwnContactRequest, call: Call): Promise<OwnContactReply> {
    const key = contactsKey(this.#tickets.userOf(call).userId);
    const names = [contactRow(userId), requestRow(userId, true), requestRow(userId, false)];
    const options = forward(call);
    const [found, tags] = await Promise.all([
      this.#kv.getRows({ key, rows: names, marks: [], level: Level.STRONG }, options),
      this.#kv.scanRows(
        { key, ...TAG_ROWS, limit: 0, level: Level.STRONG, reverse: false },
        options,
      ),
    ]);
    const [contact, incoming, outgoing] = names.map((name) =>
      found.rows.find((row) => name.equals(row.row)),
    );
    return {
      contact: contact && readEntry(contact),
      incoming: incoming && readRequest(incoming).request,
      outgoing: outgoing && readRequest(outgoing).request,
      tags: tags.rows.map(readTag),
    };
  }

  /** contact: somebody asks to become a contact. Both are, when the other one has asked, too. */
  async deliverRequest(request: DeliverContactRequest, call: Call): Promise<DeliverContactReply> {
    requireCaller(call, ["contact"], "delivering requests");
    const { userId: from } = this.#tickets.userOf(call);
    const { userId, text, atMs } = request;
    return this.#deliver(userId, from, call, (found) => {
      const policy = found.policy && readPolicy(found.policy);
      if (found.blocked !== undefined || policy?.refusesRequests === true) return Outcome.REFUSED;
      const asked = found.outgoing && readRequest(found.outgoing).request;
      const isMutual = found.contact !== undefined || asked?.state === ContactRequestState.PENDING;
      const state = isMutual ? ContactRequestState.ACCEPTED : ContactRequestState.PENDING;
      const incoming = { userId: from, incoming: true, text, state, atMs };
      const operations = [requestOperation(incoming, false)];
      if (!isMutual) return { outcome: Outcome.DELIVERED, operations };
      if (asked !== undefined) operations.push(requestOperation({ ...asked, state }, false));
      if (found.contact === undefined) operations.push(newContact(from, atMs));
      return { outcome: Outcome.ACCEPTED, operations };
    });
  }

  /** contact: somebody answers a request of this user, which makes it a contact or not. */
  async deliverAnswer(request: DeliverAnswerRequest, call: Call): Promise<DeliverContactReply> {
    requireCaller(call, ["contact"], "delivering answers");
    const { userId: from } = this.#tickets.userOf(call);
    const { userId, accept, atMs } = request;
    return this.#deliver(userId, from, call, (found) => {
      const asked = found.outgoing && readRequest(found.outgoing).request;
      if (asked === undefined) return Outcome.NO_REQUEST;
      if (asked.state !== ContactRequestState.PENDING) return Outcome.NO_REQUEST;
      const state = accept ? ContactRequestState.ACCEPTED : ContactRequestState.DECLINED;
      const operations = [requestOperation({ ...asked, state }, false)];
      if (accept && found.contact === undefined) operations.push(newContact(from, atMs));
      return { outcome: Outcome.DELIVERED, operations };
    });
  }

  /** Reads what stands between two users, decides, and writes if it still stands so. */
  async #deliver(
    owner: string,
    from: string,
    call: Call,
    decide: (found: Found) => number | { outcome: number; operations: RowOperation[] },
  ): Promise<DeliverContactReply> {
    const key = contactsKey(owner);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const found = await this.#between(owner, from, forward(call));
      const decided = decide(found);
      if (typeof decided === "number") return { outcome: decided, version: 0 };
      const guards = found.guards;
      const change = { guards, operations: decided.operations };
      const { applied, version } = await this.#kv.change({ key, change }, forward(call));
      if (applied) return { outcome: decided.outcome, version };
    }
    throw new RpcError("ABORTED", "the other side's contacts change all the time: try again");
  }

  async #between(owner: string, from: string, options: CallOptions): Promise<Found> {
    const rows = {
      contact: contactRow(from),
      outgoing: requestRow(from, false),
      blocked: blockedRow(from),
      policy: POLICY_ROW,
    };
    const names = Object.keys(rows) as (keyof typeof rows)[];
    const request = { key: contactsKey(owner), rows: Object.values(rows), marks: [] };
    const reply = await this.#kv.getRows({ ...request, level: Level.STRONG }, options);
    const found: Partial<Record<keyof typeof rows, VersionedRow>> = {};
    const guards = names.map((name): Guard => {
      const row = reply.rows.find((one) => rows[name].equals(one.row));
      if (row !== undefined) found[name] = row;
      return { guard: { case: "row", value: { row: rows[name], version: row?.version ?? 0 } } };
    });
    return { ...found, guards };
  }

  async changes(request: ContactChangesRequest, call: Call): Promise<ContactChangesReply> {
    const { userId, afterVersion, limit } = request;
    requireTicketOf(this.#tickets, call, [userId]);
    const scan = { key: contactsKey(userId), afterVersion, limit, level: Level.STRONG };
    const page = await this.#kv.scanChanges(scan, forward(call));
    const rows = firstVersions(page.rows, PAGE_BYTES_MAX);
    const isCut = rows.length < page.rows.length;
    const changes = rows.flatMap((row) => readChange(row) ?? []);
    const open = rows.flatMap((row) => openRequestOf(row) ?? []);
    const throughVersion = isCut ? rows.at(-1)!.version : page.throughVersion;
    return { version: page.version, throughVersion, more: isCut || page.more, changes, open };
  }

  /** account: the user's own contacts, and what others have of it. */
  async erase({ userId }: EraseContactsRequest, call: Call): Promise<EraseContactsReply> {
    requireCaller(call, ["account"], "erasing contacts");
    const options = forward(call);
    const key = contactsKey(userId);
    for (let first: Uint8Array = NO_BYTES; ; ) {
      const scan = { first, end: NO_BYTES, limit: 500, level: Level.STRONG, reverse: false };
      const page = await this.#kv.scanRows({ key, ...scan }, options);
      for (const other of othersIn(page.rows)) await this.#forgetIn(other, userId, options);
      const last = page.rows.at(-1);
      if (!page.more || last === undefined) break;
      first = Buffer.concat([last.row, Buffer.from([0])]);
    }
    await forgetAll(this.#kv, key, options);
    return {};
  }

  async #forgetIn(owner: string, userId: string, options: CallOptions): Promise<void> {
    const rows = [
      ...[contactRow(userId), requestRow(userId, true), requestRow(userId, false)],
      blockedRow(userId),
    ];
    const operations = rows.map(
      (row): RowOperation => ({ operation: { case: "delete", value: row } }),
    );
    await this.#kv.change({ key: contactsKey(owner), change: { guards: [], operations } }, options);
  }

  async reach({ userId }: ReachRequest, call: Call): Promise<ReachReply> {
    const from = this.#tickets.userOf(call).userId;
    const { blocked, contact, policy } = await this.#between(userId, from, forward(call));
    return {
      blocked: blocked !== undefined,
      contact: contact !== undefined,
      policy: policy && readPolicy(policy),
    };
  }
}

interface Found {
  readonly contact?: VersionedRow;
  readonly outgoing?: VersionedRow;
  readonly blocked?: VersionedRow;
  readonly policy?: VersionedRow;
  readonly guards: Guard[];
}

function newContact(userId: string, sinceMs: number): RowOperation {
  const value = makeContactEntry({ userId, sinceMs });
  return operationOf({ change: { case: "contact", value } }, false);
}
