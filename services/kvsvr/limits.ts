/** KVSvr's limits, related by assertions: two sane limits can be insane together. */
import assert from "node:assert/strict";
import { FRAME_BYTES_MAX } from "../svrkit/limits.ts";
import { REPLICAS } from "./protocol/ballot.ts";
import { STARTS_KEPT } from "./protocol/introduction.ts";
import { KEY_OPERATIONS_BYTES_MAX, TABLE_OPERATIONS_BYTES_MAX } from "./protocol/operations.ts";
import { CHANGE_RESULT_BYTES_MAX } from "./protocol/table.ts";

export const KEY_BYTES_MAX = 255;
export const ROW_KEY_BYTES_MAX = 512;
/** Every reply about a table that was trimmed carries its trims. */
export const TRIM_PREFIX_BYTES_MAX = 64;
/** A key's value, or all rows that one change writes. */
export const VALUE_BYTES_MAX = 1024 * 1024;
/** Row operations and guards of one change. */
export const OPERATIONS_PER_CHANGE_MAX = 2_000;
/** Changes packed into one version of a table. */
export const PACK_CHANGES_MAX = 256;
export const PACK_BYTES_MAX = 512 * 1024;
/** Writes that wait for one key; more are refused. */
export const WAITING_PER_KEY_MAX = 4_096;
/** Clients' writes under way at a replica, of all keys together; and what one takes besides its values. */
export const IN_FLIGHT_BYTES = 64 * 1024 * 1024;
export const WRITE_BYTES = 512;
/** Rows of one page. */
export const PAGE_ROWS_MAX = 1_000;
export const PAGE_BYTES_MAX = 1024 * 1024;
/** Rows looked at for a page in one turn: those that are deleted or forgotten are passed over. */
export const SCAN_LOOKED_ROWS = 2_000;
/** Largest part of a table in one Fetch. */
export const FETCH_BYTES_MAX = 128 * 1024;
/** States of many keys in one answer: so many bytes, and made in so much of one turn. */
export const FETCH_MANY_BYTES_MAX = 256 * 1024;
export const FETCH_MANY_MS_MAX = 4;
/** Keys of one page of a comparison, listed in one turn. */
export const COMPARE_PAGE_KEYS = 500;
/** A page or states that nobody's call waits for: a busy peer may take its time. */
export const CATCH_UP_TIMEOUT_MS = 5_000;

/**
 * Time after which the third replica is asked when the preferred one has not answered: at least the
 * first figure, and three times what votes took lately, so that load alone does not add a third vote.
 */
export const HEDGE_MS = 10;
export const HEDGE_MS_MAX = 100;
/** How long a read waits for the fate of a value that one replica has accepted. */
export const PENDING_WAIT_MS = 8;
/** How old a recent read may be, as the protocol states it; for how many keys it is known. */
export const RECENT_MS = 500;
export const RECENT_KEYS_MAX = 1_000;
/** One attempt to reach a peer; silence is noticed by svrkit earlier. */
export const PEER_TIMEOUT_MS = 1_000;
/** Pause of an overtaken proposer, random up to this much (S7). */
export const DUEL_PAUSE_MS = 20;

/**
 * How far an operation id may lie in the future. Forgetting one raises the floor below which ids are
 * too old to know (S4): with a floor in the future every client would be told that.
 */
export const OPERATION_AHEAD_MS_MAX = 10_000;

/** How long the first outcome of a batch waits for the others. */
export const BATCH_PATIENCE_MS = 30;
/** A batch's reply ends with the outcome that makes it larger; the others are its rest. */
export const BATCH_REPLY_BYTES = 4 * 1024 * 1024;
/** Batches of which a rest is under way: their callers ask for it at once, or are gone. And what they hold. */
export const BATCHES_KEPT_MAX = 1_000;
export const BATCHES_KEPT_BYTES = 64 * 1024 * 1024;

/** Proposals or queries to one peer, or a client's operations at one replica, that one call carries. */
export const TURN_ITEMS_MAX = 500;
export const TURN_BYTES_MAX = 512 * 1024;

/** Starts that a replica names when it introduces itself: those it keeps, and one a known peer. */
export const STARTS_TOLD_MAX = 80;

/**
 * How long, at most, a replica that missed much leaves clients to the others while it catches up and one
 * of them serves: each call it took would wait for a fetch, which slows a busy group down tenfold.
 */
export const CATCH_UP_MS_MAX = 900_000;
/** Alone, or stopped, for longer than this, a replica asks the others what it has missed. */
export const ALONE_MS_MAX = 1_000;

/** Pipeline: gathered so long, sent in parts of this size, dropped (and compared later) beyond. */
export const PIPELINE_GATHER_MS = 4;
export const PIPELINE_BATCH_BYTES = 512 * 1024;
export const PIPELINE_BACKLOG_BYTES_MAX = 32 * 1024 * 1024;

/**
 * Dirty state is written to the state engine when it is this old or this large. Late is cheap: the
 * engine rewrites whole pages, and more rows of one table then share a page.
 */
export const CHECKPOINT_INTERVAL_MS = 60_000;
export const CHECKPOINT_DIRTY_BYTES = 128 * 1024 * 1024;
/** Registers and rows written in one turn of the event loop, so that a checkpoint stops nobody. */
export const CHECKPOINT_CHUNK = 500;
/** Of large values fewer: the engine keeps a commit's pages in memory until it is durable. */
export const CHECKPOINT_CHUNK_BYTES = 512 * 1024;

/** Log records of earlier runs that nobody has asked for: when the first are taken in, and a turn's share. */
export const REPLAY_DELAY_MS = 100;
export const REPLAY_TURN_MS = 4;
export const REPLAY_TURN_RECORDS = 1_000;

/** Keys with a damaged record that are known at a time, and copied anew in one run. */
export const DAMAGED_KEYS_MAX = 10_000;
/** The same of rows. */
export const DAMAGED_ROWS_MAX = 10_000;
/** Names of a table's changes that are looked through in one turn for those of damaged rows. */
export const DAMAGED_NAMES_AT_ONCE = 2_000;

/** How often the state engine is looked through for damage, so many records in one turn: each up to a MB. */
export const SCRUB_EVERY_MS = 6 * 3_600_000;
export const SCRUB_AT_ONCE = 20;
/** Beside every millisecond of it so many are others', and so many at least. */
export const SCRUB_REST_SHARE = 30;
export const SCRUB_REST_MS_MIN = 3;

/** Forgotten rows leave the state engine so long after a trim, so many looked at in one turn. */
export const SWEEP_DELAY_MS = 1_000;
export const SWEEP_CHUNK = 500;
/** Tables that wait for it. */
export const SWEEP_TABLES_MAX = 10_000;

/** A call about forgetting tombstones, and about the row that says how it ended. */
export const FORGET_TIMEOUT_MS = 2_000;
/** Clients' operations on what is frozen wait so long, then another replica is asked. */
export const FROZEN_WAIT_MS = 1_000;
/** How often it is looked for tombstones to be forgotten; how old, and how many there must be. */
export const FORGET_EVERY_MS = 600_000;
export const FORGET_WINDOW_MS = 600_000;
export const FORGET_LEAST = 1_000;

assert(PAGE_ROWS_MAX <= SCAN_LOOKED_ROWS);
/** What one version decides: the last change taken into it may be as large as one can be. */
const DECISION_BYTES_MAX = PACK_BYTES_MAX + VALUE_BYTES_MAX + TABLE_OPERATIONS_BYTES_MAX;
assert(KEY_OPERATIONS_BYTES_MAX <= TABLE_OPERATIONS_BYTES_MAX);
// The reply of the largest change is remembered.
assert(CHANGE_RESULT_BYTES_MAX < TABLE_OPERATIONS_BYTES_MAX);
assert(DECISION_BYTES_MAX < FRAME_BYTES_MAX);
assert(FETCH_BYTES_MAX + VALUE_BYTES_MAX + TABLE_OPERATIONS_BYTES_MAX < FRAME_BYTES_MAX);
assert(FETCH_BYTES_MAX <= FETCH_MANY_BYTES_MAX);
// The last state of an answer may be as large as one that comes alone.
assert(FETCH_MANY_BYTES_MAX + VALUE_BYTES_MAX + DECISION_BYTES_MAX < FRAME_BYTES_MAX);
assert(PAGE_BYTES_MAX + VALUE_BYTES_MAX < FRAME_BYTES_MAX);
assert(PIPELINE_BATCH_BYTES + DECISION_BYTES_MAX < FRAME_BYTES_MAX);
assert(TURN_BYTES_MAX + DECISION_BYTES_MAX < FRAME_BYTES_MAX);
// An outcome has a value, or what a change returns.
assert(BATCH_REPLY_BYTES + 2 * VALUE_BYTES_MAX < FRAME_BYTES_MAX);
assert(CHANGE_RESULT_BYTES_MAX <= VALUE_BYTES_MAX);
assert(HEDGE_MS < PEER_TIMEOUT_MS);
assert(STARTS_KEPT + REPLICAS <= STARTS_TOLD_MAX);
