/**
 * The only door to the account keyspace. Keys:
 *
 *   name/<lower-cased name>      AccountRecord; claimed by compare-and-set on a key that is not there
 *   subject/<hash>               the same for who logs in elsewhere, by issuer and subject
 *   user/<user id>               a table: see rows.ts
 *   confirmed/<user id>          a table: DeviceConfirmation by device, what each last echoed (M5)
 *   revoked                      a table: see revoked-client.ts
 *   api-audit                    a table: see api-audit.ts
 *
 * A name is one key, so the first writer wins at any replica without a lock, and the record that
 * stands is what everybody else gets: the one commit point of a registration (M6).
 *
 * At log-in there is no ticket yet. Methods that go without one therefore name the services that may
 * call them, and why (M4).
 */
import {
  type AccountRecord,
  type ClaimNameRequest,
  type ConfirmationsReply,
  type ConfirmationsRequest,
  type ConfirmDevicesReply,
  type ConfirmDevicesRequest,
  type DeviceConfirmation,
  decodeAccountRecord,
  decodeDeviceConfirmation,
  encodeAccountRecord,
  encodeDeviceConfirmation,
  type GetByNameRequest,
  type GetBySubjectRequest,
  type ReplaceAccountReply,
  type ReplaceAccountRequest,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import {
  type Key,
  Level,
  type RowOperation,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { fromBytes, NO_BYTES, toBytes } from "../../svrkit/codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { confirmedKey, keyOf, nameKey, subjectKey } from "./keys.ts";

export const CONFIRMATIONS_MAX = 1_000;
const WRITES_AT_ONCE = 32;
const CLAIMS_MAX = 5;
const CONFIRMS_MAX = 5;

export class AccountDataHandlers {
  readonly #kv: KvClient;
  readonly #tickets: TicketVerifier;

  constructor(kv: KvClient, tickets: TicketVerifier) {
    this.#kv = kv;
    this.#tickets = tickets;
  }

  /** account: registers names for people who have no ticket yet. */
  async claimName(request: ClaimNameRequest, call: Call): Promise<AccountRecord> {
    requireCaller(call, ["account"], "claiming a name");
    const { record } = request;
    requireArgument(record !== undefined && record.userId !== "", "the claim holds no record");
    const key = keyOf(record);
    const put = toBytes(encodeAccountRecord, record);
    for (let attempt = 0, expectedVersion = 0; attempt < CLAIMS_MAX; attempt++) {
      const reply = await this.#kv.write(
        { key, write: { case: "put", value: put }, expectedVersion },
        forward(call),
      );
      if (reply.applied) return record;
      const standing = await this.#read(key, call);
      if (standing !== undefined) return standing;
      expectedVersion = reply.version; // whose it was is deleted: it can be claimed again
    }
    throw new RpcError("ABORTED", `the name ${record.name} is claimed and given up: try again`);
  }

  /** account: checks who signs in with another issuer's token. */
  async getBySubject(request: GetBySubjectRequest, call: Call): Promise<AccountRecord> {
    requireCaller(call, ["account"], "looking a subject up");
    const record = await this.#read(subjectKey(request.issuer, request.subject), call);
    if (record !== undefined) return record;
    throw new RpcError("NOT_FOUND", `nobody is registered as ${request.subject}`);
  }

  /** account: changes a password, or marks who deletes itself. Done again it changes nothing. */
  async replace(
    { record, oldPassword }: ReplaceAccountRequest,
    call: Call,
  ): Promise<ReplaceAccountReply> {
    requireCaller(call, ["account"], "replacing an account's record");
    requireArgument(record !== undefined, "there is no record");
    requireTicketOf(this.#tickets, call, [record.userId]);
    const key = keyOf(record);
    const found = await this.#kv.get({ key, level: Level.STRONG }, forward(call));
    const standing = found.found ? fromBytes(decodeAccountRecord, found.value) : undefined;
    const value = toBytes(encodeAccountRecord, record);
    if (found.found && Buffer.compare(found.value, value) === 0) return {};
    const isSame =
      standing?.userId === record.userId && Buffer.compare(standing.password, oldPassword) === 0;
    if (isSame) {
      const write = { case: "put", value } as const;
      const request = { key, write, expectedVersion: found.version };
      if ((await this.#kv.write(request, forward(call))).applied) return {};
    }
    throw new RpcError("ABORTED", "the account was changed meanwhile: log in again");
  }

  /**
   * account: checks passwords at log-in. text: turns the login name of a recipient into a user id;
   * it gets the record without the password.
   */
  async getByName(request: GetByNameRequest, call: Call): Promise<AccountRecord> {
    requireCaller(call, ["account", "text"], "looking a name up");
    const record = await this.#read(nameKey(request.name), call);
    if (record === undefined || (record.deleted && call.caller !== "account")) {
      throw new RpcError("NOT_FOUND", `nobody is registered as ${request.name}`);
    }
    return call.caller === "account" ? record : { ...record, password: NO_BYTES };
  }

  /**
   * sync: it checked each device's ticket when the device synced. What the device said last stands, even with
   * a lower version than before, for it may have begun anew; what it said earlier, and another campus hands in
   * late, is passed over: trimming could forget what a device that began anew has not got. By the campuses'
   * clocks; that it has nothing (version 0) always stands, whatever they say, for it only makes trimming wait.
   */
  async confirmDevices(request: ConfirmDevicesRequest, call: Call): Promise<ConfirmDevicesReply> {
    requireCaller(call, ["sync"], "confirming devices");
    const { confirmations } = request;
    requireArgument(
      confirmations.length <= CONFIRMATIONS_MAX,
      `${confirmations.length} confirmations in one call; at most ${CONFIRMATIONS_MAX}`,
    );
    for (const c of confirmations)
      requireArgument(c.userId !== "" && c.device !== "", "a confirmation names no device");
    const left = confirmations.values();
    const worker = async () => {
      for (const confirmation of left) await this.#confirm(confirmation, call);
    };
    await Promise.all(
      Array.from({ length: Math.min(WRITES_AT_ONCE, confirmations.length) }, worker),
    );
    return {};
  }

  async #confirm(confirmation: DeviceConfirmation, call: Call): Promise<void> {
    const key = confirmedKey(confirmation.userId);
    const row = Buffer.from(confirmation.device);
    const value = toBytes(encodeDeviceConfirmation, confirmation);
    const operations: RowOperation[] = [{ operation: { case: "upsert", value: { row, value } } }];
    const options = { ...forward(call), operationId: NO_BYTES };
    // What this replica holds is newest as a rule; when it is not, the guard says so.
    for (let attempt = 0, level: Level = Level.ANY; attempt < CONFIRMS_MAX; attempt++) {
      const [standing] = (await this.#kv.getRows({ key, rows: [row], marks: [], level }, options))
        .rows;
      if (standing !== undefined && isPassed(confirmation, standing.value)) return;
      const version = standing?.version ?? 0;
      const guards = [{ guard: { case: "row" as const, value: { row, version } } }];
      const reply = await this.#kv.change({ key, change: { guards, operations } }, options);
      if (reply.applied) return;
      level = Level.STRONG;
    }
    throw new RpcError("ABORTED", "the device is confirmed by others at the same time: try again");
  }

  /** retention: what everybody's devices have may be forgotten. */
  async confirmations({ userId }: ConfirmationsRequest, call: Call): Promise<ConfirmationsReply> {
    requireCaller(call, ["retention"], "what a user's devices have");
    const scan = { first: NO_BYTES, end: NO_BYTES, limit: 0, level: Level.STRONG, reverse: false };
    const page = await this.#kv.scanRows({ key: confirmedKey(userId), ...scan }, forward(call));
    return {
      confirmations: page.rows.map((row) => fromBytes(decodeDeviceConfirmation, row.value)),
    };
  }

  async #read(key: Key, call: Call): Promise<AccountRecord | undefined> {
    const reply = await this.#kv.get({ key, level: Level.STRONG }, forward(call));
    return reply.found ? fromBytes(decodeAccountRecord, reply.value) : undefined;
  }
}

/** Whether the device has said something else since. */
function isPassed({ atMs, messagesVersion }: DeviceConfirmation, standing: Uint8Array): boolean {
  return messagesVersion > 0 && fromBytes(decodeDeviceConfirmation, standing).atMs > atMs;
}
