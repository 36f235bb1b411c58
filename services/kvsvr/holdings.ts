/**
 * What a replica tells others of what it holds, for them to fetch, compare or copy: states, lists of
 * versions, what votes have left behind. None of it changes anything here.
 */
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type {
  FetchManyReply,
  FetchManyRequest,
  FetchReply,
  FetchRequest,
  FetchVotesReply,
  FetchVotesRequest,
  FloorsReply,
  ListedVersion,
  ListVersionsReply,
  ListVersionsRequest,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { requireArgument } from "../svrkit/errors.ts";
import { SLOTS } from "../svrkit/failover/shards.ts";
import { FETCH_BYTES_MAX, FETCH_MANY_BYTES_MAX, FETCH_MANY_MS_MAX } from "./limits.ts";
import { planted } from "./protocol/planted.ts";
import { EMPTY_REGISTER, isCurrent, type Register } from "./protocol/register.ts";
import { hasVotes, votesLeft } from "./protocol/votes-left.ts";
import type { Replica } from "./replica.ts";
import type { SlotSpan } from "./slots/plan/held-slots.ts";
import { unlessDamaged } from "./storage/engine.ts";
import type { Entry } from "./storage/entry.ts";

/** Keyspace and slot: what a listing goes on behind. */
const CURSOR_BYTES_MIN = 3;
/** What a state, and a row of one, take on the wire besides their values. */
const STATE_BYTES = 40;
const ROW_BYTES = 16;
const KEYSPACES_MAX = 255;

export class Holdings {
  readonly #replica: Replica;
  #lastFetch: Promise<void> = Promise.resolve();

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  /** One fetch a turn of the event loop: many at once would keep everybody else waiting. */
  async #fetchTurn(): Promise<void> {
    const turn = this.#lastFetch.then(() => new Promise<void>((resolve) => setImmediate(resolve)));
    this.#lastFetch = turn;
    await turn;
  }

  /** The state held here, above the version the asker has; `unavailable` when it is not newer. */
  async fetch(request: FetchRequest): Promise<FetchReply> {
    await this.#fetchTurn();
    const barred = this.#replica.barRead(request.epoch);
    if (barred !== undefined) return { ...NO_STATE, barred };
    const { aboveVersion, bytesMax } = request;
    return this.#stateAbove(
      this.#replica.entry(request.key),
      aboveVersion,
      bytesMax || FETCH_BYTES_MAX,
    );
  }

  /** States of the first of many keys, as many as fit into an answer and a part of one turn. */
  async fetchMany({ wanted, epoch }: FetchManyRequest): Promise<FetchManyReply> {
    await this.#fetchTurn();
    const barred = this.#replica.bar(epoch);
    const states: FetchReply[] = [];
    if (barred !== undefined) return { states, barred, workedUs: 0 };
    const startedMs = monotonicMs();
    let workedMs = 0;
    let bytesLeft = FETCH_MANY_BYTES_MAX;
    for (const { key, aboveVersion } of wanted) {
      const state = this.#peekAbove(this.#replica.checked(key), aboveVersion, bytesLeft);
      states.push(state);
      bytesLeft -= bytesOf(state);
      workedMs = monotonicMs() - startedMs;
      if (bytesLeft <= 0 || workedMs >= FETCH_MANY_MS_MAX) break;
    }
    return { states, barred: "", workedUs: Math.round(workedMs * 1_000) };
  }

  #peekAbove(key: Key, aboveVersion: number, bytesMax: number): FetchReply {
    const { state } = this.#replica;
    const held = unlessDamaged(() => this.#stateAbove(state.peek(key), aboveVersion, bytesMax));
    return held ?? NO_STATE;
  }

  #stateAbove(entry: Entry, aboveVersion: number, bytesMax: number): FetchReply {
    const { known, held, heldVersion, heldDigest } = entry.register;
    const owner = known.version === heldVersion ? known.owner : undefined;
    const base = { version: heldVersion, digest: heldDigest, owner, barred: "" };
    if (heldVersion <= aboveVersion || heldDigest === 0)
      return { ...base, body: undefined, unavailable: true };
    // Absent behind a floor: version and digest say all of it.
    if (held.model === "none") return { ...base, body: undefined, unavailable: false };
    if (held.model === "key") {
      const body = { case: "decision" as const, value: held.decision.bytes };
      return { ...base, body, unavailable: false };
    }
    const { rows, throughVersion } = this.#diff(entry, aboveVersion, bytesMax);
    const { lastNumber } = held;
    const operations = throughVersion === heldVersion ? held.operations : undefined;
    const value = { rows, lastNumber, operations, throughVersion, trims: [...held.trims] };
    return { ...base, body: { case: "table", value }, unavailable: false };
  }

  /** Rows above a version, whole versions only, up to about the size asked for. */
  #diff(entry: Entry, aboveVersion: number, bytesMax: number) {
    const limit = Math.min(bytesMax, FETCH_BYTES_MAX);
    const rows: { row: Uint8Array; value: Uint8Array; deleted: boolean; version: number }[] = [];
    let bytes = 0;
    for (const { row, value, deleted, version } of this.#replica.state.changes(
      entry,
      aboveVersion,
    )) {
      if (deleted && planted("deletion-not-repaired")) continue;
      const last = rows.at(-1)?.version ?? version;
      if (bytes > limit && version !== last) return { rows, throughVersion: last };
      rows.push({ row, value, deleted, version });
      bytes += row.length + value.length + ROW_BYTES;
    }
    return { rows, throughVersion: entry.register.heldVersion };
  }

  listVersions(request: ListVersionsRequest): ListVersionsReply {
    const bar = this.#replica.barRead(request.epoch);
    if (bar !== undefined) return { versions: [], cursor: NO_BYTES, barred: bar, floors: [] };
    const limit = Math.min(request.limit || 1_000, 10_000);
    const { length } = request.cursor;
    requireArgument(
      length === 0 || length >= CURSOR_BYTES_MIN,
      `a cursor of ${length} bytes: keyspace (1) and slot (2) at least`,
    );
    const after = length === 0 ? undefined : Buffer.from(request.cursor);
    const { listed, next } = this.#replica.state.list(after, limit);
    return {
      versions: listed.map(({ entryKey, register }) => ({
        key: { keyspace: entryKey[0]!, key: entryKey.subarray(4) },
        ...(register === undefined ? DAMAGED : listedAs(register)),
      })),
      cursor: next ?? NO_BYTES,
      barred: "",
      floors: this.#replica.slots.floorsWithin(slotsBetween(after, next)),
    };
  }

  /** The asker is no member and only looks. */
  floors(): FloorsReply {
    const barred = this.#replica.barRead(0);
    if (barred !== undefined) return { floors: [], barred };
    return {
      floors: this.#replica.slots.floorsWithin(slotsBetween(undefined, undefined)),
      barred: "",
    };
  }

  /** What votes on a key have left behind, for a new member (copy.ts), repair (repair.ts) or a move's target. */
  fetchVotes(request: FetchVotesRequest): FetchVotesReply {
    const barred = request.move === 0 ? this.#replica.bar(request.epoch) : this.#barMove(request);
    const register =
      barred === undefined ? this.#replica.entry(request.key).register : EMPTY_REGISTER;
    const left = votesLeft(register, request.aboveVersion, FETCH_BYTES_MAX);
    return { ...left, barred: barred ?? "" };
  }

  /** A move's target is no member: it is answered about what is frozen for it. */
  #barMove({ key, move }: FetchVotesRequest): string | undefined {
    if (this.#replica.barred !== undefined) return this.#replica.barred;
    const { registerKey } = this.#replica.entry(key);
    const holding = this.#replica.slots.holding(registerKey[0]!, registerKey.readUInt16BE(1));
    if (holding.state === "sealed" && holding.move === move) return undefined;
    return `the slot is ${holding.state} here, not sealed for move ${move}`;
  }
}

function listedAs(register: Register): Omit<ListedVersion, "key"> {
  const { known, held } = register;
  const { version, digest } = known;
  const table = held.model === "table";
  return { version, digest, table, votes: hasVotes(register), lacks: !isCurrent(register) };
}

/** There may be votes on it: who takes them over has to ask, and hears that they are not known. */
const DAMAGED = { version: 0, digest: 0, table: false, votes: true, lacks: false };

/** "I do not know", or may not say. */
const NO_STATE: FetchReply = {
  version: 0,
  digest: 0,
  owner: undefined,
  body: undefined,
  unavailable: true,
  barred: "",
};

/** About the size of a state on the wire. */
function bytesOf({ body }: FetchReply): number {
  if (body === undefined) return STATE_BYTES;
  if (body.case === "decision") return STATE_BYTES + body.value.length;
  const { rows, operations } = body.value;
  const rowBytes = rows.reduce(
    (sum, { row, value }) => sum + ROW_BYTES + row.length + value.length,
    0,
  );
  return STATE_BYTES + rowBytes + (operations?.kept.length ?? 0);
}

/** All slots of the keyspaces between two cursors of a listing; undefined: from the first, to the last. */
function slotsBetween(after: Buffer | undefined, next: Buffer | undefined): SlotSpan[] {
  const firstKeyspace = after?.[0] ?? 1;
  const lastKeyspace = next?.[0] ?? KEYSPACES_MAX;
  const spans: SlotSpan[] = [];
  for (let keyspace = firstKeyspace; keyspace <= lastKeyspace; keyspace++) {
    const first = keyspace === after?.[0] ? after.readUInt16BE(1) : 0;
    const last = keyspace === next?.[0] ? next.readUInt16BE(1) : SLOTS - 1;
    spans.push({ keyspace, first, last });
  }
  return spans;
}
