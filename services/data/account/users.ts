/**
 * A user's own table: profile, settings, devices, log-outs. What is shown to others is read on any
 * ticket; everything else is the user's own, or is done by the account service at log-in, when there is
 * no ticket yet (M4).
 */
import {
  decodeAccountSettings,
  type UserProfile,
} from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  type AccountChangesReply,
  type AccountChangesRequest,
  type AccountFacts,
  type AccountFactsRequest,
  type AccountProfilesReply,
  type AccountProfilesRequest,
  type AccountRecord,
  decodeAccountRecord,
  encodeAccountRecord,
  type LogInReply,
  type LogInRequest,
  type LogOutDevicesReply,
  type LogOutDevicesRequest,
  type RetainRevocationsReply,
  type RetainRevocationsRequest,
  type Revocation,
  type SetAccountReply,
  type SetAccountRequest,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import {
  Level,
  type RowOperation,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, type CallOptions, forward } from "../../svrkit/call.ts";
import { fromBytes, NO_BYTES, toBytes } from "../../svrkit/codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { type Known, planLogIn, revocationOf, revocationOfAll } from "./plan/log-in.ts";
import { forgetRevocations, revoke } from "./revoked-client.ts";
import {
  decodeUserProfile,
  deviceRow,
  encodeAccountSettings,
  encodeUserProfile,
  GONE_ROW,
  IDENTITY_ROW,
  noDeviceRow,
  noRevocationRow,
  PROFILE_ROW,
  readChange,
  readUserRows,
  revocationRow,
  SETTINGS_ROW,
  type UserRows,
  userKey,
} from "./rows.ts";

const PROFILES_MAX = 100;
const CHANGES_MAX = 500;
const ATTEMPTS_MAX = 5;

export class UserHandlers {
  readonly #kv: KvClient;
  readonly #tickets: TicketVerifier;

  constructor(kv: KvClient, tickets: TicketVerifier) {
    this.#kv = kv;
    this.#tickets = tickets;
  }

  async logIn(request: LogInRequest, call: Call): Promise<LogInReply> {
    requireCaller(call, ["account"], "logging somebody in");
    const { userId, device, profile, identity, devicesMax, ticketLifetimeMs } = request;
    requireArgument(device !== undefined && device.device !== "", "the log-in names no device");
    const options = forward(call);
    const rows = await this.#rows(userId, options);
    if (rows.isGone) throw new RpcError("UNAUTHENTICATED", "the account was deleted");
    if (request.mustExist) await this.#requireUser(userId, call);
    const times = { nowMs: Date.now(), ticketLifetimeMs };
    const planned = planLogIn(rows, { ...device, devicesMax, userId }, times);
    const operations = [deviceRow(planned.device)];
    if (profile !== undefined) {
      operations.push(insert(PROFILE_ROW, toBytes(encodeUserProfile, profile)));
    }
    if (identity !== undefined) {
      const known = { ...identity, password: NO_BYTES };
      operations.push(insert(IDENTITY_ROW, toBytes(encodeAccountRecord, known)));
    }
    const displaced = planned.displaced;
    for (const revocation of displaced) operations.push(noDeviceRow(revocation.device));
    const version = await this.#revoke(
      { userId, rows, revocations: displaced },
      operations,
      options,
    );
    return {
      issuedAtMs: planned.device.issuedAtMs,
      displaced: displaced.map((revocation) => revocation.device),
      version,
    };
  }

  async identity(call: Call): Promise<AccountRecord> {
    const { userId } = this.#tickets.userOf(call);
    const row = await this.#row(userId, IDENTITY_ROW, forward(call));
    if (row !== undefined) return fromBytes(decodeAccountRecord, row.value);
    throw new RpcError(
      "FAILED_PRECONDITION",
      "the account is from before this: log in again first",
    );
  }

  async logOut(request: LogOutDevicesRequest, call: Call): Promise<LogOutDevicesReply> {
    const { userId } = this.#tickets.userOf(call);
    const options = forward(call);
    const rows = await this.#rows(userId, options);
    const { devices: names, ticketLifetimeMs, reason } = request;
    const facts = { userId, reason, nowMs: Date.now(), ticketLifetimeMs };
    const going = rows.devices.filter(
      (stored) => names.length === 0 || names.includes(stored.device!.device),
    );
    const revocations =
      names.length === 0
        ? [revocationOfAll(rows, facts)]
        : going.map((stored) => revocationOf(stored, facts));
    const operations = going.map((stored) => noDeviceRow(stored.device!.device));
    const version = await this.#revoke({ userId, rows, revocations }, operations, options);
    return { version };
  }

  /** First the user's own table, then the one that everybody follows, then that it was done. */
  async #revoke(
    {
      userId,
      rows,
      revocations,
    }: { userId: string; rows: Known; revocations: readonly Revocation[] },
    operations: readonly RowOperation[],
    options: CallOptions,
  ): Promise<number> {
    const key = userKey(userId);
    const nowMs = Date.now();
    const over = rows.revocations.filter(({ revocation }) => revocation!.untilMs < nowMs);
    const change = {
      guards: [],
      operations: [
        ...operations,
        ...over.map(({ revocation }) => noRevocationRow(revocation!.device)),
        ...revocations.map((revocation) => revocationRow({ revocation, carried: false })),
      ],
    };
    const { version } = await this.#kv.change({ key, change }, options);
    const left = rows.revocations
      .filter((stored) => !stored.carried && stored.revocation!.untilMs >= nowMs)
      .map((stored) => stored.revocation!);
    const toCarry = [...left, ...revocations];
    if (toCarry.length === 0) return version;
    await revoke(this.#kv, toCarry, options);
    const carried = toCarry.map((revocation) => revocationRow({ revocation, carried: true }));
    await this.#kv.change({ key, change: { guards: [], operations: carried } }, options);
    return version;
  }

  async set({ profile, settings }: SetAccountRequest, call: Call): Promise<SetAccountReply> {
    const { userId } = this.#tickets.userOf(call);
    const key = userKey(userId);
    const options = forward(call);
    let version = 0;
    if (settings !== undefined) {
      const value = toBytes(encodeAccountSettings, settings);
      const operations = [upsert(SETTINGS_ROW, value)];
      version = (await this.#kv.change({ key, change: { guards: [], operations } }, options))
        .version;
    }
    if (profile === undefined) return { version };
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const row = await this.#row(userId, PROFILE_ROW, options);
      const before = row && fromBytes(decodeUserProfile, row.value);
      const { displayName, avatarId, about } = profile;
      const after: UserProfile = {
        userId,
        name: before?.name ?? "",
        displayName: displayName ?? before?.displayName ?? "",
        avatarId: avatarId ?? before?.avatarId ?? "",
        about: about ?? before?.about ?? "",
      };
      const guard = { row: PROFILE_ROW, version: row?.version ?? 0 };
      const change = {
        guards: [{ guard: { case: "row" as const, value: guard } }],
        operations: [upsert(PROFILE_ROW, toBytes(encodeUserProfile, after))],
      };
      const reply = await this.#kv.change({ key, change }, options);
      if (reply.applied) return { version: reply.version };
    }
    throw new RpcError("ABORTED", "the profile is being changed elsewhere: try again");
  }

  async profiles({ userIds }: AccountProfilesRequest, call: Call): Promise<AccountProfilesReply> {
    this.#tickets.userOf(call);
    requireArgument(userIds.length <= PROFILES_MAX, `at most ${PROFILES_MAX} profiles at once`);
    const rows = await Promise.all(
      userIds.map((userId) => this.#row(userId, PROFILE_ROW, forward(call), Level.ANY)),
    );
    return {
      profiles: rows.flatMap((row) =>
        row === undefined ? [] : [fromBytes(decodeUserProfile, row.value)],
      ),
    };
  }

  async changes(request: AccountChangesRequest, call: Call): Promise<AccountChangesReply> {
    const { userId, afterVersion } = request;
    requireTicketOf(this.#tickets, call, [userId]);
    const scan = { key: userKey(userId), afterVersion, limit: CHANGES_MAX, level: Level.STRONG };
    const page = await this.#kv.scanChanges(scan, forward(call));
    const changes = page.rows.flatMap((row) => readChange(row) ?? []);
    return { version: page.version, changes };
  }

  async facts({ userId }: AccountFactsRequest, call: Call): Promise<AccountFacts> {
    this.#tickets.userOf(call);
    const rows = [GONE_ROW, SETTINGS_ROW];
    const request = { key: userKey(userId), rows, marks: [], level: Level.STRONG };
    const found = await this.#kv.getRows(request, forward(call));
    const settings = found.rows.find((row) => SETTINGS_ROW.equals(row.row));
    return {
      deleted: found.rows.some((row) => GONE_ROW.equals(row.row)),
      settings: settings && fromBytes(decodeAccountSettings, settings.value),
    };
  }

  async retainRevocations(
    { nowMs }: RetainRevocationsRequest,
    call: Call,
  ): Promise<RetainRevocationsReply> {
    requireCaller(call, ["retention"], "forgetting log-outs");
    await forgetRevocations(this.#kv, nowMs, forward(call));
    return {};
  }

  async #requireUser(userId: string, call: Call): Promise<void> {
    const rows = [PROFILE_ROW, IDENTITY_ROW];
    const request = { key: userKey(userId), rows, marks: [], level: Level.STRONG };
    const found = await this.#kv.getRows(request, forward(call));
    if (found.rows.length === 0) throw new RpcError("NOT_FOUND", `there is no user ${userId}`);
  }

  async #row(
    userId: string,
    row: Buffer,
    options: CallOptions,
    level: number = Level.STRONG,
  ): Promise<VersionedRow | undefined> {
    const request = { key: userKey(userId), rows: [row], marks: [], level };
    return (await this.#kv.getRows(request, options)).rows[0];
  }

  async #rows(userId: string, options: CallOptions): Promise<UserRows> {
    const scan = { first: NO_BYTES, end: NO_BYTES, limit: 0, level: Level.STRONG, reverse: false };
    return readUserRows((await this.#kv.scanRows({ key: userKey(userId), ...scan }, options)).rows);
  }
}

function upsert(row: Buffer, value: Uint8Array): RowOperation {
  return { operation: { case: "upsert", value: { row, value } } };
}

function insert(row: Buffer, value: Uint8Array): RowOperation {
  return { operation: { case: "insertIfAbsent", value: { row, value } } };
}
