/** SegmentStore in memory, shared by the campuses of a test. */
import type { StreamRecord } from "../../../protos/gen/tricampus/queue/v1/disk_codec.ts";
import type { SegmentStore, StoredRecord } from "../segment-store.ts";

export class MemorySegmentStore implements SegmentStore {
  readonly #records = new Map<string, StoredRecord>();

  async read(stream: string): Promise<StoredRecord> {
    await Promise.resolve();
    return this.#records.get(stream) ?? { record: undefined, version: 0 };
  }

  async compareAndSet(
    stream: string,
    record: StreamRecord,
    expected: number,
  ): Promise<number | undefined> {
    await Promise.resolve();
    const version = this.#records.get(stream)?.version ?? 0;
    if (version !== expected) return undefined;
    this.#records.set(stream, { record: structuredClone(record), version: version + 1 });
    return version + 1;
  }
}
