/**
 * What servers of integrators may do with an API key. The one power that a key has over a user is a
 * ticket: everything else is done with it, and checked where the data is like anybody's (M4). Who did
 * what is written down before it is done.
 */
import {
  type LoginReply,
  makeUserProfile,
  Platform,
} from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import type {
  AuditLogReply,
  AuditLogRequest,
  FindUserReply,
  FindUserRequest,
  ImportedUser,
  ImportUsersReply,
  ImportUsersRequest,
  IssueTicketRequest,
  UserReference,
} from "../../../protos/gen/tricampus/client/v1/admin_codec.ts";
import {
  AccountData,
  type AccountRecord,
  makeAccountRecord,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { IdMaker } from "../../svrkit/ids.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { API_DEVICE } from "../api-device-client.ts";
import { requireId } from "../arguments.ts";
import type { ApiKeys } from "./api-keys.ts";
import type { ApiScope } from "./api-keys-client.ts";

/** Issuer of the users that integrators bring. */
const ISSUER = "api";
const EXTERNAL_ID_CHARACTERS_MAX = 255;
const DISPLAY_NAME_CHARACTERS_MAX = 64;
const PURPOSE_CHARACTERS_MAX = 64;
const USERS_MAX = 100;
const ACTING_MAX = 10_000;
const ACTING_MS = 5 * 60_000;
const USERS_AT_ONCE = 16;
const AUDIT_LIMIT = 100;
const AUDIT_LIMIT_MAX = 500;

interface Standing {
  readonly userId: string;
  readonly device: string;
  readonly platform: Platform;
}

export interface LogInFacts {
  readonly profile?: ReturnType<typeof makeUserProfile>;
  readonly identity?: AccountRecord;
  /** The user must have logged in, or been imported, before. */
  readonly mustExist?: boolean;
  /** When the ticket was issued that is renewed. */
  readonly renewedIssuedAtMs?: number;
}

export interface AdminParts {
  readonly keys: Pick<ApiKeys, "require">;
  readonly tickets: Pick<TicketVerifier, "verify">;
  readonly accounts: Callee;
  readonly userIds: IdMaker;
  /** Logs a device in without asking for a password. */
  readonly ticketFor: (standing: Standing, facts: LogInFacts, call: Call) => Promise<LoginReply>;
  readonly now: () => number;
}

export class AdminHandlers {
  readonly #parts: AdminParts;
  /** By user: the ticket with which keys act for it, and for how long it is handed out again. */
  readonly #acting = new RecentlyUsed<string, { reply: LoginReply; untilMs: number }>(ACTING_MAX);

  constructor(parts: AdminParts) {
    this.#parts = parts;
  }

  async issueTicket(request: IssueTicketRequest, call: Call): Promise<LoginReply> {
    const key = this.keyOf(call, "tickets");
    const { device, platform, purpose } = request;
    requireArgument(/^[A-Za-z0-9_.-]{1,64}$/.test(device), "device: 1-64 letters, digits, _ . -");
    requireArgument(platform <= Platform.OTHER, "there is no such platform");
    requireArgument(purpose.length <= PURPOSE_CHARACTERS_MAX, "purpose: up to 64 characters");
    const userId = await this.#userIdOf(request.user, call);
    await this.note({ key, method: purpose || "Admin/IssueTicket", userId }, call);
    const standing = { userId, device, platform };
    if (device === API_DEVICE) return this.#actingTicket(standing, call);
    return this.#parts.ticketFor(standing, { mustExist: true }, call);
  }

  /** A log-in for every request would read and write the user's table only to get the same ticket. */
  async #actingTicket(standing: Standing, call: Call): Promise<LoginReply> {
    const { now, tickets, ticketFor } = this.#parts;
    const known = this.#acting.get(standing.userId);
    if (known !== undefined && known.untilMs > now() && isGood(tickets, known.reply)) {
      return known.reply;
    }
    const reply = await ticketFor(standing, { mustExist: true }, call);
    const untilMs = Math.min(now() + ACTING_MS, reply.expiresAtMs - ACTING_MS);
    this.#acting.set(standing.userId, { reply, untilMs });
    return reply;
  }

  async importUsers({ users }: ImportUsersRequest, call: Call): Promise<ImportUsersReply> {
    const key = this.keyOf(call, "users");
    requireArgument(users.length >= 1 && users.length <= USERS_MAX, `users: 1-${USERS_MAX}`);
    for (const { externalId, displayName } of users) {
      checkExternalId(externalId);
      const isShort = displayName.length <= DISPLAY_NAME_CHARACTERS_MAX;
      requireArgument(isShort, `display_name: up to ${DISPLAY_NAME_CHARACTERS_MAX} characters`);
    }
    await this.note({ key, method: "Admin/ImportUsers", userId: "" }, call);
    const userIds: string[] = [];
    for (let first = 0; first < users.length; first += USERS_AT_ONCE) {
      const some = users.slice(first, first + USERS_AT_ONCE);
      userIds.push(...(await Promise.all(some.map((user) => this.#import(user, call)))));
    }
    return { userIds };
  }

  async findUser({ user }: FindUserRequest, call: Call): Promise<FindUserReply> {
    this.keyOf(call, "users");
    requireArgument(user?.by?.case !== "userId", "user: give external_id or name");
    return { userId: await this.#userIdOf(user, call) };
  }

  async auditLog({ before, limit }: AuditLogRequest, call: Call): Promise<AuditLogReply> {
    this.keyOf(call, "audit");
    requireArgument(limit <= AUDIT_LIMIT_MAX, `limit: 1-${AUDIT_LIMIT_MAX}`);
    const request = { before, limit: limit || AUDIT_LIMIT };
    return this.#parts.accounts.call(AccountData.readAudit, request, forward(call));
  }

  /** The name of the key, which travels where others have their ticket; throws when it may not. */
  keyOf(call: Call, scope: ApiScope): string {
    return this.#parts.keys.require(call.ticket, scope);
  }

  async #import({ externalId, displayName }: ImportedUser, call: Call): Promise<string> {
    const { accounts, userIds, now, ticketFor } = this.#parts;
    const about = { issuer: ISSUER, subject: externalId, createdAtMs: now() };
    const record = await accounts.call(
      AccountData.claimName,
      { record: makeAccountRecord({ ...about, userId: userIds.next() }) },
      forward(call),
    );
    const { userId } = record;
    const profile = makeUserProfile({ userId, displayName });
    const standing = { userId, device: API_DEVICE, platform: Platform.OTHER };
    await ticketFor(standing, { profile, identity: record }, call);
    return userId;
  }

  async #userIdOf(user: UserReference | undefined, call: Call): Promise<string> {
    const by = user?.by;
    requireArgument(by !== undefined, "user: give user_id, external_id or name");
    const { accounts } = this.#parts;
    if (by.case === "userId") {
      requireId(by.value, "a user id");
      return by.value;
    }
    if (by.case === "externalId") checkExternalId(by.value);
    const record = await (by.case === "externalId"
      ? accounts.call(
          AccountData.getBySubject,
          { issuer: ISSUER, subject: by.value },
          forward(call),
        )
      : accounts.call(AccountData.getByName, { name: by.value }, forward(call)));
    if (record.deleted) throw new RpcError("NOT_FOUND", "the account was deleted");
    return record.userId;
  }

  /** Writes down what is done with a key, before it is done. */
  async note(done: { key: string; method: string; userId: string }, call: Call): Promise<void> {
    const entry = { ...done, number: 0, atMs: this.#parts.now() };
    await this.#parts.accounts.call(AccountData.appendAudit, { entry }, forward(call));
  }
}

/** The user may have logged out everywhere, or be gone, since. */
function isGood(tickets: Pick<TicketVerifier, "verify">, { ticket }: LoginReply): boolean {
  try {
    tickets.verify(ticket);
    return true;
  } catch {
    return false;
  }
}

function checkExternalId({ length }: string): void {
  const isRight = length >= 1 && length <= EXTERNAL_ID_CHARACTERS_MAX;
  requireArgument(isRight, `external_id: 1-${EXTERNAL_ID_CHARACTERS_MAX} characters`);
}
