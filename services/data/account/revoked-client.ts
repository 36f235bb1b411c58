/**
 * Tickets that are not good any more: one table, which every process that checks tickets follows, so
 * that checking one asks nobody. A log-out is known everywhere within three seconds. Until the table was
 * read for the first time no ticket is believed.
 */
import {
  decodeRevocation,
  encodeRevocation,
  type Revocation,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import {
  type Key,
  Keyspace,
  Level,
  type RowOperation,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import { processBeat } from "../../svrkit/beat.ts";
import { type CallOptions, monotonicMs } from "../../svrkit/call.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { setTrouble } from "../../svrkit/monitors/trouble.ts";
import type { Revocations } from "../../svrkit/ticket/revocations.ts";
import { versionBefore } from "../age.ts";
import { trimmedThrough, trimOperations } from "../trim.ts";

const TABLE: Key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from("revoked") };
const ALL_ROWS = { rowPrefix: new Uint8Array(0), appendIds: false };
const PAGE_ROWS = 1_000;
/** Every third look of the follower of the control table: both asked together are one frame. */
const EVERY_MS = 2_250;
/** After a read that failed: before the first good one nobody is let in. */
const RETRY_MS = 250;
const TIMEOUT_MS = 2_000;
/** Without a good read for so long, people are told. */
const TROUBLE_AFTER_MS = 10_000;

const reads = monitorId("tickets.revocation_reads");
const failures = monitorId("tickets.revocation_failures");

export async function revoke(
  kv: KvClient,
  revocations: readonly Revocation[],
  options: CallOptions,
): Promise<void> {
  const operations = revocations.map((revocation): RowOperation => {
    const row = Buffer.from(`${revocation.userId}/${revocation.device}`);
    const value = toBytes(encodeRevocation, revocation);
    return { operation: { case: "upsert", value: { row, value } } };
  });
  await kv.change({ key: TABLE, change: { guards: [], operations } }, options);
}

/** Forgets those whose tickets have expired anyway. */
export async function forgetRevocations(
  kv: KvClient,
  nowMs: number,
  options: CallOptions,
): Promise<void> {
  const { trims } = await kv.getRows(
    { key: TABLE, rows: [], marks: [], level: Level.ANY },
    options,
  );
  const fromVersion = trimmedThrough(trims, ALL_ROWS);
  const timeOf = ({ value }: { value: Uint8Array }) => fromBytes(decodeRevocation, value).untilMs;
  const question = { key: TABLE, fromVersion, beforeMs: nowMs, timeOf };
  const throughVersion = await versionBefore(kv, question, options);
  const operations = trimOperations(trims, { ...ALL_ROWS, throughVersion });
  if (operations.length > 0)
    await kv.change({ key: TABLE, change: { guards: [], operations } }, options);
}

export class RevocationFollower {
  readonly #kv: KvClient;
  readonly #revocations: Revocations;
  readonly #troubleAfterMs: number;
  #version = 0;
  #heardMs = monotonicMs();
  #end: (() => void) | undefined;
  #retry: NodeJS.Timeout | undefined;
  #isReading = false;
  #stopped = false;

  constructor(kv: KvClient, revocations: Revocations, troubleAfterMs = TROUBLE_AFTER_MS) {
    this.#kv = kv;
    this.#revocations = revocations;
    this.#troubleAfterMs = troubleAfterMs;
  }

  start(): void {
    this.#end = processBeat.every(EVERY_MS, () => this.#look());
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#end?.();
    clearTimeout(this.#retry);
  }

  #look(): void {
    if (this.#isReading || this.#stopped) return;
    this.#isReading = true;
    clearTimeout(this.#retry);
    void this.#read().then((isRead) => {
      this.#isReading = false;
      if (!isRead && !this.#stopped) this.#retry = setTimeout(() => this.#look(), RETRY_MS);
    });
  }

  /** Whether the table was read; never rejects. */
  async #read(): Promise<boolean> {
    try {
      for (let more = true; more; ) {
        monitor.add(reads, 1);
        const request = {
          key: TABLE,
          afterVersion: this.#version,
          limit: PAGE_ROWS,
          level: Level.RECENT,
        };
        const page = await this.#kv.scanChanges(request, { timeoutMs: TIMEOUT_MS });
        for (const { value, deleted } of page.rows) {
          if (!deleted) this.#revocations.add(fromBytes(decodeRevocation, value));
        }
        this.#version = page.throughVersion;
        more = page.more;
      }
      this.#revocations.becomeKnown();
      this.#heardMs = monotonicMs();
      setTrouble("tickets", undefined);
      return true;
    } catch (error) {
      monitor.add(failures, 1);
      this.#failed((error as Error).message);
      return false;
    }
  }

  #failed(why: string): void {
    if (this.#stopped || monotonicMs() - this.#heardMs < this.#troubleAfterMs) return;
    const meaning = this.#revocations.isKnown
      ? "tickets that were logged out since are still believed"
      : "no ticket is believed";
    setTrouble("tickets", `the table of log-outs cannot be read, ${meaning} (${why})`);
  }
}
