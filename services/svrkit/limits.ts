/**
 * svrkit's limits, together so that they can be related. Everything queued anywhere in svrkit is
 * bounded by one of these.
 */
import assert from "node:assert/strict";

/** Largest frame accepted, bytes. Also bounds what a broken peer can make us hold. */
export const FRAME_BYTES_MAX = 8 * 1024 * 1024;
/** Frames of processes that have not said Hello yet. */
export const FIRST_FRAME_BYTES_MAX = 4 * 1024;
/** Calls a server works on at once, per process. */
export const CALLS_IN_FLIGHT_MAX = 20_000;
/** Calls of one service that a process has open at once: a slow service does not take all there is. */
export const CALLEE_CALLS_MAX = 10_000;
/** So many more of either when they are never shed: what waits for a slow store must not keep votes out. */
export const NEVER_SHED_ROOM = 5_000;
/** Bytes of requests that wait in a server, or whose handlers wait, together; twice as many with those never shed. */
export const REQUEST_BYTES_MAX = 64 * 1024 * 1024;
/** Calls open on one gRPC connection: each may hold a whole frame before the server sees it. */
export const GRPC_CALLS_MAX = 256;
/** A level that was not told again for so long is not believed any more. */
export const LEVEL_STALE_MS = 500;
/** Bytes written and not yet taken by the kernel, per connection. */
export const SESSION_BUFFERED_BYTES_MAX = 64 * 1024 * 1024;
/** A timer that looks after silence and deadlines runs this often while calls are open. */
export const WATCH_INTERVAL_MS = 50;
/** A peer with open calls that sent nothing for so long is asked with a PING ... */
export const PING_AFTER_MS = 100;
/**
 * ... and suspected when it has sent nothing for so long: its calls are made elsewhere too, new ones only
 * there. The first figure when it has been prompt, up to the second when it was late a moment ago
 * (failover/patience.ts). With the interval above a call has lost 250 ms then.
 */
export const SUSPECT_MS = 200;
export const SUSPECT_MS_MAX = 600;
/** After so long its connection is given up. */
export const SILENCE_MS = 450;
export const SILENCE_MS_MAX = 1_200;
/** Connecting, the Hello included. */
export const CONNECT_TIMEOUT_MS = 300;
/** A connection on which nothing passed for so long is asked for a sign of life by the kernel. */
export const KEEPALIVE_MS = 10_000;
/** Pause before a failed peer is tried again: doubled from first to last, jittered. */
export const RECONNECT_FIRST_MS = 50;
export const RECONNECT_LAST_MS = 1_000;
/** Time that running calls get to finish when a server drains. */
export const DRAIN_MS = 3_000;

assert(FIRST_FRAME_BYTES_MAX < FRAME_BYTES_MAX);
assert(FRAME_BYTES_MAX < SESSION_BUFFERED_BYTES_MAX);
assert(FRAME_BYTES_MAX < REQUEST_BYTES_MAX);
assert(WATCH_INTERVAL_MS < PING_AFTER_MS && PING_AFTER_MS * 2 <= SUSPECT_MS);
assert(SUSPECT_MS <= SUSPECT_MS_MAX && SUSPECT_MS + WATCH_INTERVAL_MS < SILENCE_MS);
assert(SUSPECT_MS_MAX < SILENCE_MS_MAX);
assert(CALLEE_CALLS_MAX < CALLS_IN_FLIGHT_MAX && NEVER_SHED_ROOM < CALLEE_CALLS_MAX);
assert(RECONNECT_FIRST_MS < RECONNECT_LAST_MS);

/** Longer than any caller or client waits for a sign of life: it has asked elsewhere by now. */
export const GIVEN_UP_AFTER_MS = 2_000;
assert(SILENCE_MS <= SILENCE_MS_MAX && SILENCE_MS_MAX < GIVEN_UP_AFTER_MS);
