/**
 * The only door to the account keyspace. Keys:
 *
 *   name/<lower-cased name>      AccountRecord; written once, by compare-and-set on version 0
 *   confirmed/<user id>          a table: DeviceConfirmation by device, what each last echoed (M5)
 *
 * A name is one key, so the first writer wins at any replica without a lock, and the record that
 * stands is what everybody else gets: the one commit point of a registration (M6).
 *
 * Nothing here is read on a user's ticket: at log-in there is none yet. Each method therefore names
 * the services that may call it, and why (M4).
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
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import {
  type Key,
  Keyspace,
  Level,
  type RowOperation,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { fromBytes, NO_BYTES, toBytes } from "../../svrkit/codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import { requireCaller } from "../authority.ts";

export const CONFIRMATIONS_MAX = 1_000;
const WRITES_AT_ONCE = 32;
const NAME_CHARACTERS_MAX = 64;

export class AccountDataHandlers {
  readonly #kv: KvClient;

  constructor(kv: KvClient) {
    this.#kv = kv;
  }

  /** account: registers names for people who have no ticket yet. */
  async claimName(request: ClaimNameRequest, call: Call): Promise<AccountRecord> {
    requireCaller(call, ["account"], "claiming a name");
    const { record } = request;
    requireArgument(record !== undefined && record.userId !== "", "the claim holds no record");
    const key = nameKey(record.name);
    const put = toBytes(encodeAccountRecord, record);
    const reply = await this.#kv.write(
      { key, write: { case: "put", value: put }, expectedVersion: 0 },
      forward(call),
    );
    if (reply.applied) return record;
    const standing = await this.#read(key, call);
    if (standing === undefined) {
      throw new RpcError(
        "INTERNAL",
        `the name ${record.name} was claimed and has no record; names are never deleted`,
      );
    }
    return standing;
  }

  /**
   * account: checks passwords at log-in. text: turns the login name of a recipient into a user id;
   * it gets the record without the password.
   */
  async getByName(request: GetByNameRequest, call: Call): Promise<AccountRecord> {
    requireCaller(call, ["account", "text"], "looking a name up");
    const record = await this.#read(nameKey(request.name), call);
    if (record === undefined)
      throw new RpcError("NOT_FOUND", `nobody is registered as ${request.name}`);
    return call.caller === "account" ? record : { ...record, password: NO_BYTES };
  }

  /**
   * sync: it checked each device's ticket when the device synced. The last write stands, even with a
   * lower version than before: that only makes trimming wait.
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
    const row = Buffer.from(confirmation.device);
    const value = toBytes(encodeDeviceConfirmation, confirmation);
    const operations: RowOperation[] = [{ operation: { case: "upsert", value: { row, value } } }];
    const request = { key: confirmedKey(confirmation.userId), change: { guards: [], operations } };
    await this.#kv.change(request, { ...forward(call), operationId: NO_BYTES });
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

function confirmedKey(userId: string): Key {
  return { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`confirmed/${userId}`) };
}

function nameKey(name: string): Key {
  requireArgument(
    name.length >= 1 && name.length <= NAME_CHARACTERS_MAX,
    "a name has 1-64 characters",
  );
  return { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`name/${name.toLowerCase()}`) };
}
