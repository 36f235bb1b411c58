/** What was done with API keys: a table whose rows the store numbers, of which the newest 100,000 stay. */
import {
  type AuditLogReply,
  decodeApiAuditEntry,
  encodeApiAuditEntry,
} from "../../../protos/gen/tricampus/client/v1/admin_codec.ts";
import type {
  AppendAuditReply,
  AppendAuditRequest,
  ReadAuditRequest,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { type Call, forward } from "../../svrkit/call.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { requireArgument } from "../../svrkit/errors.ts";
import { newOperationId } from "../../svrkit/operation-id.ts";
import { requireCaller } from "../authority.ts";
import { sequenceKey, sequenceOf } from "../sequence-key.ts";
import { AUDIT_KEY } from "./keys.ts";

const ENTRIES = Buffer.from("q/");
const ENTRIES_END = Buffer.from("q0");
const KEPT = 100_000;
const FORGET_EVERY = 1_000;

export class ApiAuditHandlers {
  readonly #kv: KvClient;

  constructor(kv: KvClient) {
    this.#kv = kv;
  }

  async append({ entry }: AppendAuditRequest, call: Call): Promise<AppendAuditReply> {
    requireCaller(call, ["account"], "writing the audit log");
    requireArgument(entry !== undefined, "there is no entry");
    const value = toBytes(encodeApiAuditEntry, entry);
    const append = { id: newOperationId(), prefix: ENTRIES, value };
    const operations = [{ operation: { case: "append" as const, value: append } }];
    const change = { guards: [], operations };
    const { results } = await this.#kv.change({ key: AUDIT_KEY, change }, forward(call));
    const number = results[0]?.number ?? 0;
    if (number > KEPT && number % FORGET_EVERY === 0) await this.#forget(number - KEPT, call);
    return {};
  }

  async read({ before, limit }: ReadAuditRequest, call: Call): Promise<AuditLogReply> {
    requireCaller(call, ["account"], "reading the audit log");
    const end = before === 0 ? ENTRIES_END : sequenceKey(ENTRIES, before);
    const range = { first: ENTRIES, end, limit, level: Level.STRONG, reverse: true };
    const { rows } = await this.#kv.scanRows({ key: AUDIT_KEY, ...range }, forward(call));
    return {
      entries: rows.map(({ row, value }) => {
        return { ...fromBytes(decodeApiAuditEntry, value), number: sequenceOf(row) };
      }),
    };
  }

  /** Everything up to an entry. */
  async #forget(number: number, call: Call): Promise<void> {
    const rows = [sequenceKey(ENTRIES, number)];
    const request = { key: AUDIT_KEY, rows, marks: [], level: Level.STRONG };
    const [oldest] = (await this.#kv.getRows(request, forward(call))).rows;
    if (oldest === undefined) return;
    const throughVersion = oldest.version;
    const operations = [
      { throughVersion, rowPrefix: ENTRIES, appendIds: false },
      { throughVersion, rowPrefix: new Uint8Array(0), appendIds: true },
    ].map((value) => ({ operation: { case: "trim" as const, value } }));
    await this.#kv.change({ key: AUDIT_KEY, change: { guards: [], operations } }, forward(call));
  }
}
