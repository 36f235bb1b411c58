/**
 * Damaged rows (storage/damaged-rows.ts) made whole. What a row was at a version is decided, so one other
 * replica that has it at that version is enough. That the table has no such row any more both have to say,
 * and which version it was when its name is lost as well, only who holds all that is held here.
 */
import type { FetchReply, StampedRow } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { Replica as ReplicaService } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { restUnless } from "../svrkit/rest.ts";
import { FETCH_BYTES_MAX } from "./limits.ts";
import type { Replica } from "./replica.ts";
import type { DamagedTable } from "./storage/damaged-rows.ts";
import type { LostRow } from "./storage/engine.ts";
import type { Entry } from "./storage/entry.ts";

const RETRY_MS = 500;
/** Looking through a large table again and again costs who has it. */
const RETRY_MS_MAX = 8_000;
/** The least that is asked for: rows of one version. */
const ONE_VERSION = 1;

const mendedRows = monitorId("kvsvr.rows_mended");

/** The row, or undefined: the table has none at `version`. */
interface Found {
  readonly row: StampedRow | undefined;
  readonly version: number;
}

export class Mending {
  readonly #replica: Replica;
  #running: Promise<void> | undefined;
  readonly #stopping = new AbortController();

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** Mends what is damaged already, and what turns out to be. */
  start(): void {
    const { damagedRows } = this.#replica.state;
    damagedRows.onFound = (own) => {
      this.#replica.log.error(
        { key: own.toString("hex") },
        "a row is damaged: it is fetched from another replica",
      );
      this.#soon();
    };
    if (!damagedRows.isEmpty) this.#soon();
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  #soon(): void {
    if (this.#stopped) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async #run(): Promise<void> {
    const { damagedRows } = this.#replica.state;
    for (let restMs = RETRY_MS; !damagedRows.isEmpty; restMs = Math.min(restMs * 2, RETRY_MS_MAX)) {
      // Not in the turn that has found it: somebody is in the middle of reading it.
      await restUnless(this.#stopping.signal, restMs).catch(() => {});
      for (const table of damagedRows.tables) {
        if (this.#stopped) return;
        await this.#mendTable(table).catch((error: unknown) => this.#later(error));
      }
    }
  }

  #later(error: unknown): void {
    const reason = RpcError.from(error).message;
    this.#replica.log.debug({ reason }, "a damaged row is not mended yet");
  }

  async #mendTable(table: DamagedTable): Promise<void> {
    const { slots, state, barred } = this.#replica;
    if (barred !== undefined) throw new RpcError("UNAVAILABLE", barred);
    // It leaves with its slot.
    if (!slots.holds(table.registerKey)) return;
    const entry = state.entry(table.key);
    entry.pins += 1;
    try {
      let failure: unknown;
      for (const lost of await state.damagedRows.lostRows(table, this.#stopping.signal)) {
        if (this.#stopped) return;
        await this.#mend(entry, lost).catch((error: unknown) => {
          failure = error;
        });
      }
      if (failure !== undefined) throw failure;
      state.sweepSoon(entry);
    } finally {
      entry.pins -= 1;
    }
  }

  async #mend(entry: Entry, lost: LostRow): Promise<void> {
    const { state, log, epoch } = this.#replica;
    const { registerKey } = entry;
    if (state.damagedRows.isSound(registerKey, lost)) {
      state.damagedRows.forget(registerKey, lost.row);
      return;
    }
    // The next checkpoint writes over it.
    if (entry.rows?.get(lost.row) !== undefined) return;
    const found = await this.#find(entry, lost);
    if (found.version > entry.register.heldVersion)
      throw new RpcError("UNAVAILABLE", "the others are ahead: what is newer comes first");
    if (this.#replica.epoch !== epoch || this.#stopped) return;
    await state.damagedRows.mend(entry, lost, found.row);
    monitor.add(mendedRows, 1);
    log.warn({ key: registerKey.toString("hex") }, "a damaged row was mended");
  }

  /** The row as others have it. */
  async #find(entry: Entry, lost: LostRow): Promise<Found> {
    const { peers: all, state } = this.#replica;
    const { row } = lost;
    const peers = all.preference(entry.registerKey);
    const version = state.damagedRows.versionOf(entry, lost);
    if (version > 0) {
      for (const peer of peers) {
        const there = await this.#fetch(peer, entry, version - 1, ONE_VERSION).catch(
          () => undefined,
        );
        const same = there && rowIn(there, row);
        if (same?.version === version) return { row: same, version };
      }
    }
    // Its name is wrong or lost, or it was written anew since.
    const { heldVersion } = entry.register;
    let failure: unknown;
    let newest = 0;
    for (const peer of peers) {
      try {
        const found = await this.#look(peer, entry, row);
        if (found.version < heldVersion)
          throw new RpcError("UNAVAILABLE", `replica ${peer} is behind`);
        if (found.row !== undefined) return { row: found.row, version: found.row.version };
        newest = Math.max(newest, found.version);
      } catch (error) {
        failure = error;
      }
    }
    if (failure !== undefined) throw failure;
    return { row: undefined, version: newest };
  }

  /** Looks through all rows that a peer has; `version`: of its table. */
  async #look(peer: number, entry: Entry, row: Uint8Array): Promise<Found> {
    for (let above = 0; !this.#stopped; ) {
      const reply = await this.#fetch(peer, entry, above, FETCH_BYTES_MAX);
      const found = rowIn(reply, row);
      const { version, body } = reply;
      if (found !== undefined) return { row: found, version };
      if (body?.case !== "table")
        throw new RpcError("UNAVAILABLE", `replica ${peer} does not hold the table`);
      if (body.value.throughVersion >= version) return { row: undefined, version };
      above = body.value.throughVersion;
    }
    throw new RpcError("UNAVAILABLE", "this replica stops");
  }

  async #fetch(
    peer: number,
    { key }: Entry,
    aboveVersion: number,
    bytesMax: number,
  ): Promise<FetchReply> {
    const { peers, epoch } = this.#replica;
    const request = { key, aboveVersion, epoch, bytesMax };
    const reply = await peers.call(peer, ReplicaService.fetch, request);
    if (reply.barred !== "") throw new RpcError("UNAVAILABLE", reply.barred);
    if (reply.unavailable)
      throw new RpcError("UNAVAILABLE", `replica ${peer} holds nothing above ${aboveVersion}`);
    return reply;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }
}

function rowIn({ body }: FetchReply, row: Uint8Array): StampedRow | undefined {
  if (body?.case !== "table") return undefined;
  return body.value.rows.find((one) => Buffer.compare(one.row, row) === 0);
}
