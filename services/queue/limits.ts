/** The queue's limits, together so that they can be related. */
import assert from "node:assert/strict";
import { FRAME_BYTES_MAX } from "../svrkit/limits.ts";

export const ID_BYTES_MAX = 128;
export const PAYLOAD_BYTES_MAX = 512 * 1024;
/** One batch of a stream's writer: what is sent to the logs at once. */
export const BATCH_ENTRIES_MAX = 512;
export const BATCH_BYTES_MAX = 1024 * 1024;
/** Settled entries that wait for their consumer, per stream; more are not accepted. */
export const BACKLOG_BYTES_MAX = 32 * 1024 * 1024;
/** The same over all streams of a process. */
export const BACKLOGS_BYTES_MAX = 256 * 1024 * 1024;
/** Of that, what streams of one topic may have: an integrator's slow server leaves room for messages. */
export const TOPIC_BACKLOGS_BYTES_MAX = 64 * 1024 * 1024;
/** From this share of the room on, who consumes a topic is told that it is scarce. */
export const SCARCE_SHARE = 0.75;
/** One stream's part of a poll's answer, and the whole answer. */
export const POLL_ENTRIES_MAX = 512;
export const POLL_STREAM_BYTES_MAX = 512 * 1024;
export const POLL_BYTES_MAX = 2 * 1024 * 1024;
export const POLL_WAIT_MS_MAX = 1_000;
export const POLLS_MAX = 64;
/** Entries given up in one call. */
export const BURY_MAX = 512;
export const BURY_BYTES_MAX = 1024 * 1024;
/** They are forgotten after so long, and the oldest of them beyond so many bytes. */
export const LETTERS_KEPT_DAYS = 30;
export const LETTERS_BYTES_MAX = 64 * 1024 * 1024;
/** Of them in one page. */
export const LETTERS_PAGE_MAX = 200;
/** Streams kept open without anything to do; one more closes the least recently used. */
export const STREAMS_OPEN_MAX = 20_000;
/** A log that does not grant for so long is counted as not there. */
export const LOG_TIMEOUT_MS = 1_000;
/** A writer whose last grant is older asks the record, before it writes, whether the stream moved on. */
export const OWNERSHIP_MS = 500;
/** A log that failed is left out for so long, as long as the two others grant. */
export const LOG_REST_MS = 500;
export const STORE_TIMEOUT_MS = 3_000;
/** Attempts to open a stream while others open it too. */
export const OPEN_ATTEMPTS_MAX = 8;
/**
 * The logs keep what was consumed for so long: a producer whose acknowledgement got lost with a campus
 * repeats its append within this time, and its id is still found.
 */
export const TRIM_DELAY_MS = 2_000;
/** Ids of consumed entries that a stream's writer remembers for the same reason. */
export const CONSUMED_IDS_MAX = 4_096;
/** Streams whose entries nobody consumes are looked for so often ... */
export const ADOPT_INTERVAL_MS = 400;
/** ... and are those with an entry of this age. */
export const ADOPT_AGE_MS = 700;
export const ADOPT_TIMEOUT_MS = 1_000;
export const ADOPT_STREAMS_MAX = 2_000;
/** An older segment whose group does not answer is tried again so often. */
export const OLDER_RETRY_MS = 300;

assert(PAYLOAD_BYTES_MAX + ID_BYTES_MAX <= BATCH_BYTES_MAX);
assert(BATCH_BYTES_MAX + PAYLOAD_BYTES_MAX < FRAME_BYTES_MAX / 2);
assert(BURY_BYTES_MAX + PAYLOAD_BYTES_MAX < FRAME_BYTES_MAX / 2);
assert(POLL_BYTES_MAX + POLL_STREAM_BYTES_MAX + PAYLOAD_BYTES_MAX < FRAME_BYTES_MAX / 2);
assert(BACKLOG_BYTES_MAX <= TOPIC_BACKLOGS_BYTES_MAX);
assert(2 * TOPIC_BACKLOGS_BYTES_MAX <= BACKLOGS_BYTES_MAX / 2, "events and pushes leave half");
assert(LOG_REST_MS <= LOG_TIMEOUT_MS);
assert(
  OWNERSHIP_MS * 2 <= LOG_TIMEOUT_MS,
  "a stream is moved only after LOG_TIMEOUT_MS without grants",
);
assert(ADOPT_INTERVAL_MS + ADOPT_AGE_MS <= 1_500);
