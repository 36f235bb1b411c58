/**
 * The disks of a group that never ran, filled before its first start: what a backup holds goes through
 * the register's own step function, as an answer to a fetch does, into the state engine of all three.
 *
 * Done on disks and not over the wire, so there is no door through which a group with data could be
 * given other data: a replica that runs learns from its group and from nobody else (S3).
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { BackupRecord } from "../../protos/gen/tricampus/kv/v1/backup_codec.ts";
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { SlotFloor } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { systemTextFiles } from "../svrkit/text-files.ts";
import { KEY_BYTES_MAX } from "./limits.ts";
import { NO_OWNER } from "./protocol/ballot.ts";
import { composeKey } from "./protocol/compose.ts";
import { sealDecision } from "./protocol/decision.ts";
import { EMPTY_REGISTER, isCurrent, type Register, step, trimsOf } from "./protocol/register.ts";
import { SlotTable } from "./slots/slot-table.ts";
import type { EngineEntry, StateEngine } from "./storage/engine.ts";
import { openLmdb } from "./storage/lmdb.ts";
import { latin1, registerKey } from "./storage/record.ts";
import { decodeRegister, encodeRegister } from "./storage/stored-register.ts";

/** The records cannot be what a group decided. */
export class SeedRefused extends Error {}

export class SeededGroup {
  readonly #dirs: readonly string[];
  readonly #engines: readonly StateEngine[];
  readonly #done = new Set<string>();
  /** The key that records are being added of. */
  #name: string | undefined;
  #register: Register = EMPTY_REGISTER;

  /** `dirs`: the data folders of the group's replicas, in the order of their numbers. */
  constructor(dirs: readonly string[]) {
    const paths = dirs.map((dir) => join(dir, "state"));
    const taken = paths.find((path) => existsSync(path));
    if (taken !== undefined) throw new SeedRefused(`${taken} exists: a replica's disk is not new`);
    this.#dirs = dirs;
    this.#engines = paths.map((path) => openLmdb(path));
  }

  /** Durable at all replicas when it resolves. */
  async add(records: readonly BackupRecord[]): Promise<void> {
    let entries: EngineEntry[] = [];
    for (const record of records) {
      const entry = this.#take(record);
      // The engine takes each row once in a commit: parts of one table go one after the other.
      if (entries.at(-1)?.registerKey.equals(entry.registerKey) === true) {
        await this.#commit(entries);
        entries = [];
      }
      entries.push(entry);
    }
    await this.#commit(entries);
  }

  #take({ key, state }: BackupRecord): EngineEntry {
    if (key === undefined || state === undefined) throw new SeedRefused("a record names no key");
    if (key.keyspace === 0 || key.key.length === 0 || key.key.length > KEY_BYTES_MAX)
      throw new SeedRefused("a record's key is none");
    const own = registerKey(key);
    const name = latin1(own);
    if (name !== this.#name) this.#begin(name);
    const { register, log, rows } = step(this.#register, { kind: "fetched", reply: state });
    if (!log || register.held.model === "none")
      throw new SeedRefused(`a record adds nothing to key ${own.toString("hex")}`);
    this.#register = register;
    // A part may bring rows that a later one's trims forget.
    const isUnswept = trimsOf(register).length > 0;
    const encoded = encodeRegister(register, isUnswept);
    return { registerKey: own, register: encoded, rows, forgotten: [] };
  }

  #begin(name: string): void {
    this.#end();
    if (this.#done.has(name))
      throw new SeedRefused(`key ${Buffer.from(name, "latin1").toString("hex")} comes twice`);
    this.#done.add(name);
    this.#name = name;
    this.#register = EMPTY_REGISTER;
  }

  #end(): void {
    if (this.#name === undefined || isCurrent(this.#register)) return;
    const key = Buffer.from(this.#name, "latin1").toString("hex");
    throw new SeedRefused(`the last part of key ${key} is missing`);
  }

  async #commit(entries: readonly EngineEntry[]): Promise<void> {
    if (entries.length === 0) return;
    await Promise.all(this.#engines.map((engine) => engine.commit(entries)));
  }

  /** One version more of a key, as a proposer decides it; after `finish`. */
  async put(key: Key, value: Uint8Array): Promise<void> {
    const own = registerKey(key);
    const stored = this.#engines[0]!.register(own);
    const before = stored === undefined ? EMPTY_REGISTER : decodeRegister(stored).register;
    const write = { case: "put", value } as const;
    const request = { key, write, expectedVersion: undefined };
    const { body } = composeKey(before, { operationId: NO_BYTES, request, forgottenMs: 0 });
    if (body === undefined) throw new SeedRefused(`key ${own.toString("hex")} holds a table`);
    // No owner: whoever writes next begins with Prepare.
    const decision = sealDecision(before.heldVersion + 1, NO_OWNER, body);
    const { register } = step(before, { kind: "learn", decision });
    await this.#commit([
      { registerKey: own, register: encodeRegister(register, false), rows: [], forgotten: [] },
    ]);
  }

  /** Checks that the last key is whole; what is not here is at these floors, at least. */
  finish(floors: readonly SlotFloor[] = []): void {
    this.#end();
    for (const dir of this.#dirs) SlotTable.seed(dir, systemTextFiles, floors);
  }

  async close(): Promise<void> {
    await Promise.all(this.#engines.map((engine) => engine.close()));
  }
}
