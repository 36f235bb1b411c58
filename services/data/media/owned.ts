/** What is whose: a user's table of media, and how much it may hold. */
import type { MediaFacts } from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { Level, type RowOperation } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { RpcError } from "../../svrkit/errors.ts";
import {
  mediaIdOfRow,
  mediaOfKey,
  OWNED_ROWS,
  ownedOperation,
  ownedRow,
  readOwned,
  readTotals,
  TOTALS_ROW,
  totalsOperation,
} from "./rows.ts";

const ATTEMPTS_MAX = 8;
const PAGE = 500;
/** What is in use all the time is not written all the time. */
const RENEWED_MS = 24 * 3_600_000;

export interface Quota {
  readonly userBytesMax: number;
  readonly userCountMax: number;
}

export class Owned {
  readonly #kv: KvClient;
  readonly #quota: Quota;

  constructor(kv: KvClient, quota: Quota) {
    this.#kv = kv;
    this.#quota = quota;
  }

  /** Counts a medium as its owner's, once; refuses what is too much. */
  add({ mediaId, ownerId, bytes, createdAtMs }: MediaFacts, options: CallOptions): Promise<void> {
    const { userBytesMax, userCountMax } = this.#quota;
    return this.#change(ownerId, mediaId, options, ({ owned, totals }) => {
      if (owned !== undefined) return undefined;
      const after = { bytes: totals.bytes + bytes, count: totals.count + 1 };
      if (after.bytes > userBytesMax || after.count > userCountMax) {
        throw new RpcError(
          "RESOURCE_EXHAUSTED",
          `you have ${totals.count} media of ${totals.bytes} bytes; ${userCountMax} and ` +
            `${userBytesMax} are the limits: delete some`,
        );
      }
      const row = ownedOperation(mediaId, { bytes, atMs: createdAtMs });
      return [row, totalsOperation(after)];
    });
  }

  /** Its age counts from now on, to within a day. */
  renew(
    { mediaId, ownerId }: Pick<MediaFacts, "mediaId" | "ownerId">,
    nowMs: number,
    options: CallOptions,
  ): Promise<void> {
    return this.#change(ownerId, mediaId, options, ({ owned }) => {
      if (owned === undefined || owned.atMs > nowMs - RENEWED_MS) return undefined;
      return [ownedOperation(mediaId, { ...owned, atMs: nowMs })];
    });
  }

  remove(ownerId: string, mediaId: string, options: CallOptions): Promise<void> {
    return this.#change(ownerId, mediaId, options, ({ owned, totals }) => {
      if (owned === undefined) return undefined;
      const bytes = Math.max(0, totals.bytes - owned.bytes);
      const after = { bytes, count: Math.max(0, totals.count - 1) };
      const gone: RowOperation = { operation: { case: "delete", value: ownedRow(mediaId) } };
      return [gone, totalsOperation(after)];
    });
  }

  async *of(
    ownerId: string,
    options: CallOptions,
  ): AsyncGenerator<{ mediaId: string; atMs: number }> {
    for (let first: Uint8Array = OWNED_ROWS.first; ; ) {
      const scan = { first, end: OWNED_ROWS.end, limit: PAGE, level: Level.STRONG, reverse: false };
      const page = await this.#kv.scanRows({ key: mediaOfKey(ownerId), ...scan }, options);
      for (const row of page.rows) {
        yield { mediaId: mediaIdOfRow(row.row), atMs: readOwned(row).atMs };
      }
      const last = page.rows.at(-1);
      if (!page.more || last === undefined) return;
      first = Buffer.concat([last.row, Buffer.from([0])]);
    }
  }

  async #change(
    ownerId: string,
    mediaId: string,
    options: CallOptions,
    decide: (found: {
      owned: ReturnType<typeof readOwned> | undefined;
      totals: ReturnType<typeof readTotals>;
    }) => RowOperation[] | undefined,
  ): Promise<void> {
    const key = mediaOfKey(ownerId);
    const row = ownedRow(mediaId);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const request = { key, rows: [row, TOTALS_ROW], marks: [], level: Level.STRONG };
      const { rows } = await this.#kv.getRows(request, options);
      const owned = rows.find((one) => row.equals(one.row));
      const totals = rows.find((one) => TOTALS_ROW.equals(one.row));
      const found = { owned: owned && readOwned(owned), totals: readTotals(totals) };
      const operations = decide(found);
      if (operations === undefined) return;
      const stands = { row: TOTALS_ROW, version: totals?.version ?? 0 };
      const guards = [{ guard: { case: "row", value: stands } } as const];
      const { applied } = await this.#kv.change({ key, change: { guards, operations } }, options);
      if (applied) return;
    }
    throw new RpcError("ABORTED", "too many uploads at once: try again", { retryable: true });
  }
}
