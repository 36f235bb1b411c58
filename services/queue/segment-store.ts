/** Where the records of moved and taken-over streams are kept; the engine in use is the KV store. */

import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  decodeStreamRecord,
  encodeStreamRecord,
  type StreamRecord,
} from "../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import type { KvClient } from "../kvsvr/client.ts";
import { fromBytes, toBytes } from "../svrkit/codec.ts";
import { STORE_TIMEOUT_MS } from "./limits.ts";

export interface StoredRecord {
  readonly record: StreamRecord | undefined;
  /** 0: never written. */
  readonly version: number;
}

export interface SegmentStore {
  read(stream: string): Promise<StoredRecord>;
  /** The new version; undefined when the record stands at another one than `expected`. */
  compareAndSet(
    stream: string,
    record: StreamRecord,
    expected: number,
  ): Promise<number | undefined>;
}

const options = { timeoutMs: STORE_TIMEOUT_MS };

export class KvSegmentStore implements SegmentStore {
  readonly #kv: KvClient;

  constructor(kv: KvClient) {
    this.#kv = kv;
  }

  async read(stream: string): Promise<StoredRecord> {
    const reply = await this.#kv.get({ key: streamKey(stream), level: Level.STRONG }, options);
    const record = reply.found ? fromBytes(decodeStreamRecord, reply.value) : undefined;
    return { record, version: reply.version };
  }

  async compareAndSet(
    stream: string,
    record: StreamRecord,
    expected: number,
  ): Promise<number | undefined> {
    const value = toBytes(encodeStreamRecord, record);
    const write = { case: "put", value } as const;
    const request = { key: streamKey(stream), write, expectedVersion: expected };
    const reply = await this.#kv.write(request, options);
    return reply.applied ? reply.version : undefined;
  }
}

/** Where the store keeps a stream's record. */
export function streamKey(stream: string): { keyspace: Keyspace; key: Uint8Array } {
  return { keyspace: Keyspace.CONTROL, key: Buffer.from(`queue/stream/${stream}`) };
}
