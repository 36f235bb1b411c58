/**
 * The end of an account. Who is to be erased stands in one table until it is: the account service works
 * it off, step by step, and whatever dies on the way is done again. What is left at the end is the user's
 * id, marked as gone, so that nothing is sent to it any more.
 */
import {
  type AccountRecord,
  type BeginErasingReply,
  type BeginErasingRequest,
  decodeAccountRecord,
  decodeErasingUser,
  type EraseAccountReply,
  type EraseAccountRequest,
  type ErasingReply,
  encodeErasingUser,
  type GoneReply,
  type GoneRequest,
  type MarkGoneReply,
  type MarkGoneRequest,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import {
  type Key,
  Keyspace,
  Level,
  type RowOperation,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, type CallOptions, forward } from "../../svrkit/call.ts";
import { fromBytes, NO_BYTES, toBytes } from "../../svrkit/codec.ts";
import { ACCOUNT_DELETED, RpcError, requireArgument } from "../../svrkit/errors.ts";
import type { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { requireCaller, requireTicketOf } from "../authority.ts";
import { forgetAll } from "../trim.ts";
import { confirmedKey, keyOf } from "./keys.ts";
import { revoke } from "./revoked-client.ts";
import { GONE_ROW, userKey } from "./rows.ts";

const TABLE: Key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from("erasing") };
const GONE: RowOperation = {
  operation: { case: "upsert", value: { row: GONE_ROW, value: Buffer.from([1]) } },
};
const PAGE = 100;
const GONE_MAX = 1_000;
const READS_AT_ONCE = 16;
const DAY_MS = 24 * 3_600_000;
/** Longer than any ticket is valid. */
const TICKETS_DAYS = 60;

export class EraseHandlers {
  readonly #kv: KvClient;
  readonly #tickets: TicketVerifier;

  constructor(kv: KvClient, tickets: TicketVerifier) {
    this.#kv = kv;
    this.#tickets = tickets;
  }

  async begin({ user }: BeginErasingRequest, call: Call): Promise<BeginErasingReply> {
    requireArgument(user?.record !== undefined, "there is nobody to erase");
    requireTicketOf(this.#tickets, call, [user.record.userId]);
    const row = Buffer.from(user.record.userId);
    const known = { ...user, record: { ...user.record, password: NO_BYTES } };
    const value = toBytes(encodeErasingUser, known);
    await this.#change(TABLE, { case: "insertIfAbsent", value: { row, value } }, call);
    await this.#markGone(user.record.userId, call);
    return {};
  }

  /** account: of who is to be erased, before anything else; also where the beginning was cut short. */
  async markGone({ userId }: MarkGoneRequest, call: Call): Promise<MarkGoneReply> {
    requireCaller(call, ["account"], "marking a user as gone");
    requireArgument(userId !== "", "there is nobody to mark as gone");
    await this.#markGone(userId, call);
    return {};
  }

  async erasing(call: Call): Promise<ErasingReply> {
    requireCaller(call, ["account"], "who is to be erased");
    const scan = {
      first: NO_BYTES,
      end: NO_BYTES,
      limit: PAGE,
      level: Level.STRONG,
      reverse: false,
    };
    const page = await this.#kv.scanRows({ key: TABLE, ...scan }, forward(call));
    return { users: page.rows.map((row) => fromBytes(decodeErasingUser, row.value)) };
  }

  /** hooks: of whom nothing is to be kept that could not be told. */
  async gone({ userIds }: GoneRequest, call: Call): Promise<GoneReply> {
    requireCaller(call, ["hooks"], "who has deleted its account");
    const isRight = userIds.length >= 1 && userIds.length <= GONE_MAX;
    requireArgument(isRight, `1 to ${GONE_MAX} users can be asked about at once`);
    const options = forward(call);
    const level = Level.STRONG;
    const rows = userIds.map((userId) => Buffer.from(userId));
    const erasing = await this.#kv.getRows({ key: TABLE, rows, marks: [], level }, options);
    const gone = new Set(erasing.rows.map(({ row }) => Buffer.from(row).toString()));
    const left = userIds.filter((userId) => !gone.has(userId)).values();
    const worker = async () => {
      for (const userId of left) {
        const request = { key: userKey(userId), rows: [GONE_ROW], marks: [], level };
        if ((await this.#kv.getRows(request, options)).rows.length > 0) gone.add(userId);
      }
    };
    await Promise.all(Array.from({ length: READS_AT_ONCE }, worker));
    return { userIds: [...gone] };
  }

  /** account: the last step; then nothing names the user any more. */
  async erase({ record }: EraseAccountRequest, call: Call): Promise<EraseAccountReply> {
    requireCaller(call, ["account"], "erasing an account");
    requireArgument(record !== undefined && record.userId !== "", "there is nobody to erase");
    const options = forward(call);
    const { userId } = record;
    // Whatever ticket is about, of whatever clock: there will be no other.
    const nowMs = Date.now();
    const times = { issuedBeforeMs: nowMs + DAY_MS, untilMs: nowMs + TICKETS_DAYS * DAY_MS };
    const ended = { userId, device: "", ...times, reason: ACCOUNT_DELETED };
    await revoke(this.#kv, [ended], options);
    await forgetAll(this.#kv, userKey(userId), options, [GONE]);
    await forgetAll(this.#kv, confirmedKey(userId), options);
    await this.#freeName(record, options);
    await this.#change(TABLE, { case: "delete", value: Buffer.from(userId) }, call);
    return {};
  }

  /** From now on nothing is sent to the user, and it is invited nowhere. */
  async #markGone(userId: string, call: Call): Promise<void> {
    await this.#change(userKey(userId), GONE.operation, call);
  }

  /** Somebody else may have the name already: a round before this one, or another campus's, freed it. */
  async #freeName(record: AccountRecord, options: CallOptions): Promise<void> {
    const key = keyOf(record);
    const found = await this.#kv.get({ key, level: Level.STRONG }, options);
    if (!found.found || fromBytes(decodeAccountRecord, found.value).userId !== record.userId)
      return;
    const write = { case: "delete", value: true } as const;
    const reply = await this.#kv.write({ key, write, expectedVersion: found.version }, options);
    if (!reply.applied) {
      throw new RpcError(
        "ABORTED",
        "the name is being freed elsewhere: the next round looks again",
      );
    }
  }

  async #change(key: Key, operation: RowOperation["operation"], call: Call): Promise<void> {
    await this.#kv.change(
      { key, change: { guards: [], operations: [{ operation }] } },
      forward(call),
    );
  }
}
