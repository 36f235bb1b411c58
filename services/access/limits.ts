/** The access layer's limits, together so that they can be related. */
import assert from "node:assert/strict";

/** Largest WebSocket message and HTTP body; a text of 64 KiB and everything around it fit easily. */
export const FRAME_BYTES_MAX = 1024 * 1024;
/** From this size on frames and bodies are compressed for clients that take it: pages of syncs, in short. */
export const COMPRESS_FROM_BYTES = 4 * 1024;
/**
 * A larger frame goes in parts of so many bytes to clients that take them, or on a slow network they would hear
 * nothing for longer than they bear, 0.8 s, and ask elsewhere for the same again: at 11 KB/s a part comes before that.
 */
export const PART_BYTES = 8 * 1024;
/** A TCP connection that has said nothing for so long is ended. */
export const FIRST_BYTE_TIMEOUT_MS = 10_000;
/** A long poll is answered after this time at the latest. */
export const POLL_WAIT_MS = 20_000;
/** How often clients ask where they may connect. */
export const ENDPOINTS_REFRESH_MS = 10 * 60_000;
/** What one user may ask of one access process: so many requests a second, and so many at once. */
export const USER_REQUESTS_PER_SECOND = 200;
export const USER_BURST = 1_000;
/** So often one request that nobody waits for any more is as good as a new one, and no other is while it is open. */
export const LATE_AS_NEW_EVERY_MS = 100;
/** Connections of one user to one access process. */
export const USER_CONNECTIONS_MAX = 32;
/** Requests of one connection that services work on at once. */
export const REQUESTS_IN_FLIGHT_MAX = 256;
/** Outgoing bytes that wait for a client: above the first, pushes lose their rows; above the second
 * the connection ends. */
export const ROWS_BUFFERED_BYTES_MAX = 1024 * 1024;
export const BUFFERED_BYTES_MAX = 4 * 1024 * 1024;
/** Downloads of media under way in one process: each holds at most two parts of 512 KiB. */
export const DOWNLOADS_MAX = 200;
/** A download of which the client takes nothing for so long ends. */
export const DOWNLOAD_STALLED_MS = 30_000;
/** So does one that takes longer for a part: below 3 KiB/s, less than any phone network gives. */
export const DOWNLOAD_PART_MS = 180_000;
/** Frames that cannot be read, per connection, before it ends; a ticket that is not good counts as twenty. */
export const BAD_FRAMES_MAX = 100;
export const BAD_TICKET_FRAMES = 20;
/** Forged tickets of one address that are looked at: of one core that takes some 1 %. */
export const FORGERIES_PER_SECOND = 200;
export const FORGERIES_BURST = 500;
/** Beyond that, of all addresses together: some 6 %. */
export const SHARED_FORGERIES_PER_SECOND = 1_000;
export const SHARED_FORGERIES_BURST = 2_500;
/** Time from opening to Attach, or to the last request without one. */
export const ATTACH_TIMEOUT_MS = 10_000;
/** A connection that was not heard for so long is pinged; it ends when two pings stay unanswered. */
export const PING_EVERY_MS = 25_000;
export const PINGS_UNANSWERED_MAX = 2;
/** While a frame comes for longer than this its sender is told so as often: sooner than clients ask for a sign. */
export const SIGN_EVERY_MS = 200;
/** How often connections are looked at, for all connections together. */
export const WATCH_EVERY_MS = 1_000;
/**
 * Connections without Attach: of all places half, of which one address has half, but so many in any case; and the
 * time after which one of them makes room for a newer one.
 */
export const UNATTACHED_SHARE = 0.5;
export const UNATTACHED_ADDRESS_SHARE = 0.25;
export const UNATTACHED_MIN = 64;
export const UNATTACHED_GRACE_MS = 1_000;
/** Sockets for one place: a long poll has two, and plain HTTP has some; and so many beside. */
export const SOCKETS_PER_CONNECTION = 2;
export const SOCKETS_BESIDE = 1_000;
/** Time that services get for one request: clients give up after 5 s and are to hear why before. */
export const REQUEST_TIMEOUT_MS = 4_500;
/**
 * A push whose rows do not follow what the device has waits so long for what lies between: workers in
 * other campuses are on their way with it, and a sync costs the store as much as many pushes.
 */
export const PUSH_HOLD_MS = 250;
/** So long when the newest push carried no rows: then only a sync can bring them. */
export const HINT_HOLD_MS = 20;
/** Pushes that wait so, per connection. */
export const PUSHES_HELD_MAX = 64;
/** Time over which clients are sent away when this process stops, and then to finish requests. */
export const LEAVE_OVER_MS = 2_000;
export const FINISH_MS = 1_000;
/**
 * Time over which clients are sent away when this campus, or its access, is blocked: all of them must
 * be gone within 10 s of the block, of which learning it takes 1 s, and leaving twice FINISH_MS.
 */
export const BLOCKED_LEAVE_OVER_MS = 6_000;

assert(ROWS_BUFFERED_BYTES_MAX < BUFFERED_BYTES_MAX && FRAME_BYTES_MAX < BUFFERED_BYTES_MAX);
assert(LEAVE_OVER_MS < BLOCKED_LEAVE_OVER_MS && BLOCKED_LEAVE_OVER_MS + 2 * FINISH_MS <= 9_000);
assert(HINT_HOLD_MS < PUSH_HOLD_MS);
// Parts are compressed as the whole would be.
assert(COMPRESS_FROM_BYTES <= PART_BYTES);
assert(UNATTACHED_ADDRESS_SHARE < UNATTACHED_SHARE && UNATTACHED_GRACE_MS < ATTACH_TIMEOUT_MS);
assert(WATCH_EVERY_MS * 2 <= ATTACH_TIMEOUT_MS && WATCH_EVERY_MS * 2 <= PING_EVERY_MS);
