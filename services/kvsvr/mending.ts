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
import { latin1 } from "./storage/record.ts";

const RETRY_MS = 500;
/** Looking through a large table again and again costs who has it. */
const RETRY_MS_MAX = 8_000;
/** The least that is asked for: rows of one version. */
const ONE_VERSION = 1;

const mendedRows = monitorId("kvsvr.rows_mended");

export class Mending {
  readonly #replica: Replica;
  #running: Promise<void> | undefined;
  readonly #stopping = new AbortController();
  /** Tables of which one other replica was looked through in vain: without both of them it would be again. */
  readonly #needsBoth = new Set<string>();

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
      const unknown: LostRow[] = [];
      for (const lost of await state.damagedRows.lostRows(table, this.#stopping.signal)) {
        if (this.#stopped) return;
        if (this.#isWhole(entry, lost)) continue;
        const row = await this.#atItsVersion(entry, lost);
        if (row === undefined) unknown.push(lost);
        else await this.#put(entry, lost, row);
      }
      // Names are wrong or lost, or rows were written anew since.
      if (unknown.length > 0) await this.#lookFor(entry, unknown);
      state.sweepSoon(entry);
    } finally {
      entry.pins -= 1;
    }
  }

  /** There is nothing to do, or the next checkpoint does it. */
  #isWhole({ registerKey, rows }: Entry, lost: LostRow): boolean {
    const { damagedRows } = this.#replica.state;
    if (!damagedRows.isSound(registerKey, lost)) return rows?.get(lost.row) !== undefined;
    damagedRows.forget(registerKey, lost.row);
    return true;
  }

  /** `row` undefined: the table has none. */
  async #put(entry: Entry, lost: LostRow, row: StampedRow | undefined): Promise<void> {
    if (this.#stopped) return;
    if (!(await this.#replica.state.damagedRows.mend(entry, lost, row))) return;
    monitor.add(mendedRows, 1);
    const { log } = this.#replica;
    log.warn({ key: entry.registerKey.toString("hex") }, "a damaged row was mended");
  }

  /** The row as another replica has it at the version that is missed here. */
  async #atItsVersion(entry: Entry, lost: LostRow): Promise<StampedRow | undefined> {
    const { peers, state } = this.#replica;
    const version = state.damagedRows.versionOf(entry, lost);
    if (version === 0) return undefined;
    for (const peer of peers.preference(entry.registerKey)) {
      const reply = await this.#fetch(peer, entry, version - 1, ONE_VERSION).catch(() => undefined);
      const same = reply && rowsIn(reply).find(({ row }) => Buffer.compare(row, lost.row) === 0);
      if (same?.version === version) return same;
    }
    return undefined;
  }

  /** Looks through all rows of the others, once for all that are missed: what neither has the table has not. */
  async #lookFor(entry: Entry, lost: readonly LostRow[]): Promise<void> {
    const { peers: all } = this.#replica;
    const peers = all.preference(entry.registerKey);
    if (this.#needsBoth.has(entry.name) && !peers.every((peer) => all.usable(peer)))
      throw new RpcError("UNAVAILABLE", "one other replica does not have it, the other is away");
    const missed = new Map(lost.map((one) => [latin1(one.row), one]));
    const failures: unknown[] = [];
    for (const peer of peers) {
      await this.#lookAt(peer, entry, missed).catch((error: unknown) => failures.push(error));
      if (missed.size === 0) break;
    }
    if (failures.length > 0 && missed.size > 0) {
      if (failures.length < peers.length) this.#needsBoth.add(entry.name);
      throw failures[0];
    }
    this.#needsBoth.delete(entry.name);
    for (const one of missed.values()) await this.#put(entry, one, undefined);
  }

  /** Puts in their places those of the rows that a peer has. */
  async #lookAt(peer: number, entry: Entry, missed: Map<string, LostRow>): Promise<void> {
    const { heldVersion } = entry.register;
    for (let above = 0; missed.size > 0; ) {
      const reply = await this.#fetch(peer, entry, above, FETCH_BYTES_MAX);
      const { version, body } = reply;
      if (body?.case !== "table")
        throw new RpcError("UNAVAILABLE", `replica ${peer} does not hold the table`);
      if (version < heldVersion) throw new RpcError("UNAVAILABLE", `replica ${peer} is behind`);
      for (const row of rowsIn(reply)) {
        const lost = missed.get(latin1(row.row));
        if (lost === undefined) continue;
        if (row.version > entry.register.heldVersion) throw ahead();
        await this.#put(entry, lost, row);
        missed.delete(latin1(row.row));
      }
      if (body.value.throughVersion < version) above = body.value.throughVersion;
      else if (version <= entry.register.heldVersion) return;
      else throw ahead();
    }
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
    if (this.#replica.epoch !== epoch)
      throw new RpcError("UNAVAILABLE", "the answer is of a group epoch that is over");
    return reply;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }
}

/** The register of what is newer comes first. */
function ahead(): RpcError {
  return new RpcError("UNAVAILABLE", "the others are ahead");
}

function rowsIn({ body }: FetchReply): readonly StampedRow[] {
  return body?.case === "table" ? body.value.rows : [];
}
