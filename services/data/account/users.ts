/**
 * A user's own table: profile, settings, devices, log-outs. What is shown to others is read on any
 * ticket; everything else is the user's own, or is done by the account service at log-in, when there is
 * no ticket yet (M4).
 */
import {
  decodeAccountSettings,
  type UserDevice,
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
  type Guard,
  Level,
  type RowOperation,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, type CallOptions, forward } from "../../svrkit/call.ts";
import { fromBytes, NO_BYTES, toBytes } from "../../svrkit/codec.ts";
import { ACCOUNT_DELETED, RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { keyOf } from "./keys.ts";
import { planLogIn, reasonAgainstRenewal, revocationOf, revocationOfAll } from "./plan/log-in.ts";
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
  revocationAt,
  revocationRow,
  SETTINGS_ROW,
  sameDevice,
  sameRevocation,
  type UserRows,
  userKey,
} from "./rows.ts";

const PROFILES_MAX = 100;
const CHANGES_MAX = 500;
const ATTEMPTS_MAX = 5;

/** A change of a user's devices: what was decided on `rows`, and holds while the guards do. */
interface DevicesChange {
  readonly userId: string;
  readonly rows: UserRows;
  readonly guards: readonly Guard[];
  readonly operations: readonly RowOperation[];
  /** Devices that are logged out. */
  readonly gone: readonly string[];
  readonly revocations: readonly Revocation[];
}

export class UserHandlers {
  readonly #kv: KvClient;
  readonly #tickets: TicketVerifier;

  constructor(kv: KvClient, tickets: TicketVerifier) {
    this.#kv = kv;
    this.#tickets = tickets;
  }

  async logIn(request: LogInRequest, call: Call): Promise<LogInReply> {
    requireCaller(call, ["account"], "logging somebody in");
    const { device } = request;
    requireArgument(device !== undefined && device.device !== "", "the log-in names no device");
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const reply = await this.#tryLogIn({ ...request, device }, forward(call));
      if (reply !== undefined) return reply;
    }
    throw changedMeanwhile();
  }

  /** Undefined: the devices changed since they were read. */
  async #tryLogIn(
    request: LogInRequest & { device: UserDevice },
    options: CallOptions,
  ): Promise<LogInReply | undefined> {
    const { userId, device, profile, identity, devicesMax, ticketLifetimeMs } = request;
    const rows = await this.#rows(userId, options);
    if (rows.isGone) throw new RpcError("UNAUTHENTICATED", ACCOUNT_DELETED);
    if (request.mustExist) await this.#requireUser(userId, options);
    requireRenewable(rows, request);
    if (identity !== undefined) await this.#requireStanding(identity, options);
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
    const { displaced } = planned;
    const guards = ["", device.device].map((ended) => sameRevocation(rows, ended));
    const gone = displaced.map((revocation) => revocation.device);
    const step = { userId, rows, guards, operations, gone, revocations: displaced };
    const version = await this.#revoke(step, options);
    if (version === undefined) return undefined;
    return { issuedAtMs: planned.device.issuedAtMs, displaced: gone, version };
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
    const { devices: names, ticketLifetimeMs, reason } = request;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const rows = await this.#rows(userId, options);
      const facts = { userId, reason, nowMs: Date.now(), ticketLifetimeMs };
      const going = rows.devices.filter(
        (stored) => names.length === 0 || names.includes(stored.device!.device),
      );
      const revocations =
        names.length === 0
          ? [revocationOfAll(rows, facts)]
          : going.map((stored) => revocationOf(stored, rows.revocations, facts));
      const all = names.length === 0 ? going.map((stored) => stored.device!.device) : names;
      const gone = request.onlyNoted ? [] : all;
      const step = { userId, rows, guards: [], operations: [], gone, revocations };
      const version = await (request.onlyNoted
        ? this.#note(step, options)
        : this.#revoke(step, options));
      if (version === undefined) continue;
      const endedBeforeMs = names.length === 0 ? revocations[0]!.issuedBeforeMs : 0;
      return { version, endedBeforeMs };
    }
    throw changedMeanwhile();
  }

  /**
   * First the user's own table, then the one that everybody follows, then that it was done. Undefined, and
   * nothing is done: a guard fails, or one of those that go has got a newer ticket since the rows were read.
   */
  async #revoke(step: DevicesChange, options: CallOptions): Promise<number | undefined> {
    const version = await this.#note(step, options);
    if (version !== undefined) await this.#carry(step, version, options);
    return version;
  }

  async #note(step: DevicesChange, options: CallOptions): Promise<number | undefined> {
    const { userId, rows, gone, revocations } = step;
    const nowMs = Date.now();
    const over = rows.revocations.filter(({ revocation }) => revocation!.untilMs < nowMs);
    const change = {
      guards: [
        ...step.guards,
        ...gone.map((device) => sameDevice(rows, device)),
        // What is deleted is what was over, and no log-out that came since.
        ...over.map(({ revocation }) => sameRevocation(rows, revocation!.device)),
      ],
      operations: [
        ...step.operations,
        ...gone.map(noDeviceRow),
        ...over.map(({ revocation }) => noRevocationRow(revocation!.device)),
        ...revocations.map((revocation) => revocationRow({ revocation, carried: false })),
      ],
    };
    const { applied, version } = await this.#kv.change({ key: userKey(userId), change }, options);
    return applied ? version : undefined;
  }

  /** What the step noted at `version`, and what was left over from earlier ones. */
  async #carry(step: DevicesChange, version: number, options: CallOptions): Promise<void> {
    const { userId, rows, revocations } = step;
    const nowMs = Date.now();
    const ended = new Set(revocations.map(({ device }) => device));
    const left = rows.revocations
      .filter((stored) => !stored.carried && stored.revocation!.untilMs >= nowMs)
      .map((stored) => stored.revocation!)
      .filter(({ device }) => !ended.has(device));
    const toCarry = [...left, ...revocations];
    if (toCarry.length === 0) return;
    await revoke(this.#kv, toCarry, options);
    const carried = toCarry.map((revocation) => revocationRow({ revocation, carried: true }));
    // A newer log-out is not written over: who wrote it carries it.
    const guards = toCarry.map(({ device }) =>
      ended.has(device) ? revocationAt(device, version) : sameRevocation(rows, device),
    );
    const change = { guards, operations: carried };
    await this.#kv.change({ key: userKey(userId), change }, options);
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

  /**
   * That it is still what the user was known by: its password may have been replaced since it was looked at.
   * Read after the log-outs: whoever replaces it ends all log-ins afterwards, so either this one is among
   * them or the guards see that end.
   */
  async #requireStanding(identity: AccountRecord, options: CallOptions): Promise<void> {
    const found = await this.#kv.get({ key: keyOf(identity), level: Level.STRONG }, options);
    const standing = found.found ? fromBytes(decodeAccountRecord, found.value) : undefined;
    const isSame =
      standing?.userId === identity.userId &&
      Buffer.compare(standing.password, identity.password) === 0;
    if (!isSame) throw new RpcError("UNAUTHENTICATED", "name or password is wrong");
  }

  async #requireUser(userId: string, options: CallOptions): Promise<void> {
    const rows = [PROFILE_ROW, IDENTITY_ROW];
    const request = { key: userKey(userId), rows, marks: [], level: Level.STRONG };
    const found = await this.#kv.getRows(request, options);
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

/** The process that took the renewed ticket for good may not have heard of a log-out yet. */
function requireRenewable(rows: UserRows, request: LogInRequest): void {
  const issuedAtMs = request.renewedIssuedAtMs;
  if (issuedAtMs === 0) return;
  const reason = reasonAgainstRenewal(rows, { device: request.device!.device, issuedAtMs });
  if (reason === undefined) return;
  throw new RpcError("UNAUTHENTICATED", `this device was logged out (${reason}): log in again`);
}

function changedMeanwhile(): RpcError {
  return new RpcError("ABORTED", "the user's devices are being changed elsewhere: try again");
}

function upsert(row: Buffer, value: Uint8Array): RowOperation {
  return { operation: { case: "upsert", value: { row, value } } };
}

function insert(row: Buffer, value: Uint8Array): RowOperation {
  return { operation: { case: "insertIfAbsent", value: { row, value } } };
}
