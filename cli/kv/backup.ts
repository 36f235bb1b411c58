/**
 * Reads the whole store, key by key, while it serves.
 *
 * Each key or table is taken as it was at one moment between the beginning and the end, and contains
 * every write of it that was acknowledged before the backup began: keys are listed at two replicas at
 * least, and what is accepted and not known to be decided is settled by a linearizable read first.
 * Between keys nothing is promised: two keys may be of different moments. With several KV groups each is
 * read about the slots that it serves.
 */
import { type Key, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { FetchReply, SlotFloor } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import type { KvClient } from "../../services/kvsvr/client.ts";
import type { ReplicasClient } from "../../services/kvsvr/replicas-client.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { type BackupWriter, sizeOf } from "./backup-files.ts";
import { newestOf } from "./plan/newest.ts";

const KEYS_AT_ONCE = 200;
const SIDE_BY_SIDE = 4;
const READ_ATTEMPTS = 10;
const READ_PAUSE_MS = 200;

interface BackupCounts {
  readonly keys: number;
  readonly tables: number;
  /** Of the group's slots: what was forgotten has to stay below them. */
  readonly floors: readonly SlotFloor[];
}

export class Backup {
  readonly #store: KvClient;
  readonly #replicas: ReplicasClient;
  readonly #writer: BackupWriter;
  readonly #isIncluded: (key: Key) => boolean;
  #asked: readonly number[] = [];
  #keys = 0;
  #tables = 0;

  /** `isIncluded`: the key is one of the group's whose replicas are read. */
  constructor(parts: {
    store: KvClient;
    replicas: ReplicasClient;
    writer: BackupWriter;
    isIncluded?: (key: Key) => boolean;
  }) {
    this.#isIncluded = parts.isIncluded ?? (() => true);
    this.#store = parts.store;
    this.#replicas = parts.replicas;
    this.#writer = parts.writer;
  }

  async run(): Promise<BackupCounts> {
    this.#asked = await this.#answering();
    let keys: Key[] = [];
    for await (const { key } of this.#replicas.compare(this.#asked)) {
      if (!this.#isIncluded(key)) continue;
      keys.push(key);
      if (keys.length < KEYS_AT_ONCE) continue;
      await this.#take(keys);
      keys = [];
    }
    await this.#take(keys);
    // After the last key: whatever was forgotten meanwhile, and is not in the backup, is below them.
    const floors = await Promise.all(this.#asked.map((replica) => this.#replicas.floors(replica)));
    return { keys: this.#keys, tables: this.#tables, floors: floors.flat() };
  }

  async #answering(): Promise<number[]> {
    const numbers = this.#replicas.campuses.map((_, replica) => replica);
    const refusals = await Promise.all(numbers.map((replica) => this.#replicas.refusal(replica)));
    const answering = numbers.filter((replica) => refusals[replica] === undefined);
    if (answering.length > 1) return answering;
    const reason = refusals.find((refusal) => refusal !== undefined) ?? "";
    throw new RpcError("NO_QUORUM", `a backup needs two of three replicas: ${reason}`);
  }

  async #take(keys: readonly Key[]): Promise<void> {
    if (keys.length === 0) return;
    const versions = await this.#newest(keys);
    const open = [...keys.entries()].filter(([i]) => versions[i]! > 0);
    const work = async () => {
      for (let next = open.shift(); next !== undefined; next = open.shift()) {
        const [i, key] = next;
        this.#add(key, await this.#read(key, versions[i]!));
      }
    };
    await Promise.all(Array.from({ length: SIDE_BY_SIDE }, work));
  }

  /** By key: the version that must be reached; 0: there is nothing of it. */
  async #newest(keys: readonly Key[]): Promise<number[]> {
    const replies = await Promise.all(
      this.#asked.map((replica) => this.#replicas.query(replica, keys)),
    );
    const versions: number[] = [];
    for (const [i, key] of keys.entries()) {
      const newest = newestOf(replies.map((those) => those[i]!));
      versions.push(newest.state === "decided" ? newest.version : await this.#settle(key));
    }
    return versions;
  }

  /** Its newest version, by a read that finishes what is under way. */
  async #settle(key: Key): Promise<number> {
    try {
      return (await this.#store.get({ key, level: Level.STRONG })).version;
    } catch (error) {
      if (!(error instanceof RpcError) || error.code !== "FAILED_PRECONDITION") throw error;
    }
    const request = { key, rows: [], marks: [], level: Level.STRONG };
    return (await this.#store.getRows(request)).version;
  }

  async #read(key: Key, version: number): Promise<readonly FetchReply[]> {
    let reason = "none of them holds it";
    for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt++) {
      for (const replica of this.#asked) {
        // One that is gone, or whose record is damaged: another has it.
        const parts = await this.#replicas.fetch(replica, key).catch((error: unknown) => {
          reason = RpcError.from(error).message;
          return [];
        });
        if ((parts.at(-1)?.version ?? 0) >= version) return parts;
      }
      await rest(READ_PAUSE_MS);
    }
    const name = `${Buffer.from(key.key).toString("hex")} (hex) in keyspace ${key.keyspace}`;
    throw new RpcError("UNAVAILABLE", `no replica gives version ${version} of ${name}: ${reason}`);
  }

  #add(key: Key, parts: readonly FetchReply[]): void {
    // It was forgotten since it was listed.
    if (parts[0]!.body === undefined) return;
    const records = parts.map((state) => ({ key, state }));
    const size = records.reduce((sum, record) => sum + sizeOf(record), 0);
    this.#writer.add(records, size);
    if (parts[0]!.body?.case === "table") this.#tables += 1;
    else this.#keys += 1;
  }
}
