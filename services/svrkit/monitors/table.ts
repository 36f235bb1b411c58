/**
 * Every monitor id there is. An id is applied for once, here: its number is what files, reports and the
 * centre know it by, so a number is never changed and never used again for something else. Hundreds
 * belong to an owner.
 *
 * "sum" is only added to, and read as so much a second or a minute; "level" is set, and read as it is.
 */
type MonitorKind = "sum" | "level";

type Row = readonly [
  number: number,
  name: string,
  kind: MonitorKind,
  unit: string,
  owner: string,
  description: string,
];

const ROWS = [
  [1, "process.busy_ms", "sum", "ms", "platform", "time for which the event loop had work"],
  [2, "process.loop_delay_ms", "level", "ms", "platform", "longest the event loop was late in 1 s"],
  [3, "process.memory_bytes", "level", "bytes", "platform", "memory that the process holds"],
  [4, "process.heap_bytes", "level", "bytes", "platform", "memory in use by JavaScript"],

  [100, "svrkit.calls_served", "sum", "calls", "svrkit", "calls answered with a result"],
  [101, "svrkit.calls_failed", "sum", "calls", "svrkit", "calls answered with an error"],
  [102, "svrkit.calls_refused", "sum", "calls", "svrkit", "calls refused: too late, or no room"],
  [103, "svrkit.calls_shed", "sum", "calls", "svrkit", "calls refused because of overload"],
  [104, "svrkit.failovers", "sum", "calls", "svrkit", "calls that went on to another replica"],
  [105, "svrkit.calls_doubled", "sum", "calls", "svrkit", "calls asked of one more replica beside"],
  [106, "svrkit.calls_held_back", "sum", "calls", "svrkit", "calls not sent: refused there anyway"],
  [107, "svrkit.replicas_left_out", "sum", "times", "svrkit", "a replica was left out as unwell"],
  [108, "svrkit.level", "level", "priority", "svrkit", "admission level; 0 when all is admitted"],
  [109, "svrkit.connections", "level", "connections", "svrkit", "connections from other processes"],
  [110, "svrkit.calls_in_flight", "level", "calls", "svrkit", "calls that handlers work on"],
  [111, "svrkit.calls_waiting", "level", "calls", "svrkit", "calls that wait for their turn"],
  [112, "svrkit.waited_ms", "sum", "ms", "svrkit", "what calls waited for their turn, together"],
  [
    113,
    "svrkit.turns",
    "sum",
    "calls",
    "svrkit",
    "calls whose turn came, of those that may be shed",
  ],
  [114, "svrkit.spans", "sum", "spans", "svrkit", "spans of traced calls"],

  [200, "access.connections_opened", "sum", "connections", "access", "clients that connected"],
  [
    201,
    "access.connections_ended",
    "sum",
    "connections",
    "access",
    "clients whose connection ended",
  ],
  [202, "access.connections_silent", "sum", "connections", "access", "clients given up as silent"],
  [203, "access.pushes", "sum", "pushes", "access", "pushes written to clients"],
  [204, "access.router_failures", "sum", "calls", "access", "registrations that a router refused"],
  [205, "access.requests", "sum", "requests", "access", "requests of clients"],
  [206, "access.requests_failed", "sum", "requests", "access", "requests that failed by our fault"],
  [207, "access.downloads", "sum", "downloads", "access", "downloads of media begun"],

  [
    300,
    "queue.appends_forwarded",
    "sum",
    "appends",
    "queue",
    "appends sent on to a stream's writer",
  ],
  [301, "queue.entries_settled", "sum", "entries", "queue", "entries found written and settled"],
  [302, "queue.streams_moved", "sum", "streams", "queue", "streams that went on in another group"],
  [303, "queue.letters_buried", "sum", "letters", "queue", "entries among the dead letters"],
  [350, "queuelog.fsyncs", "sum", "fsyncs", "queuelog", "syncs of the queue's log"],

  [400, "kvsvr.fsyncs", "sum", "fsyncs", "kvsvr", "syncs of the store's log"],
  [401, "kvsvr.log_bytes", "sum", "bytes", "kvsvr", "bytes written to the store's log"],
  [402, "kvsvr.records_synced", "sum", "records", "kvsvr", "records that a sync made durable"],
  [403, "kvsvr.versions_decided", "sum", "versions", "kvsvr", "changes decided by proposals here"],
  [404, "kvsvr.fast_path", "sum", "versions", "kvsvr", "changes decided without a Prepare"],
  [405, "kvsvr.accept_hedges", "sum", "votes", "kvsvr", "votes asked of the third replica too"],
  [406, "kvsvr.version_queries", "sum", "queries", "kvsvr", "versions asked of others for reads"],
  [407, "kvsvr.versions_told", "sum", "versions", "kvsvr", "versions told to others for reads"],
  [
    408,
    "kvsvr.reads_that_finished",
    "sum",
    "reads",
    "kvsvr",
    "reads that finished a pending change",
  ],
  [409, "kvsvr.pipeline_dropped", "sum", "records", "kvsvr", "dropped from a peer's full pipeline"],
  [410, "kvsvr.behind", "level", "keys", "kvsvr", "keys known to be newer at another replica"],
  [411, "kvsvr.repaired", "sum", "keys", "kvsvr", "keys fetched because they were behind"],
  [412, "kvsvr.caught_up", "sum", "keys", "kvsvr", "keys found newer by comparing"],
  [413, "kvsvr.checkpoints", "sum", "checkpoints", "kvsvr", "checkpoints written"],
  [414, "kvsvr.damaged_records", "sum", "records", "kvsvr", "records whose checksum is wrong"],
  [415, "kvsvr.rows_swept", "sum", "rows", "kvsvr", "trimmed rows taken out of the engine"],
  [416, "kvsvr.registers_removed", "sum", "keys", "kvsvr", "keys removed after their slot moved"],
  [417, "kvsvr.move_keys_copied", "sum", "keys", "kvsvr", "keys copied by moves of slots"],
  [418, "kvsvr.incarnation", "level", "starts", "kvsvr", "incarnation of the replica"],
  [419, "kvsvr.tombstones", "level", "keys", "kvsvr", "deleted keys at the last count"],
  [420, "kvsvr.tombstones_forgotten", "sum", "keys", "kvsvr", "deleted keys forgotten"],
  [421, "kvsvr.forgetting_aborted", "sum", "attempts", "kvsvr", "attempts that forgot nothing"],
  [422, "kvsvr.damaged_keys", "level", "keys", "kvsvr", "keys that wait to be copied: damaged"],
  [423, "kvsvr.keys_renewed", "sum", "keys", "kvsvr", "damaged keys copied from both others"],
  [424, "kvsvr.unreplayed", "level", "records", "kvsvr", "log records of earlier runs to take in"],
  [425, "kvsvr.damaged_unnoted", "sum", "reads", "kvsvr", "of damaged records beyond those noted"],
  [426, "kvsvr.damaged_rows", "level", "rows", "kvsvr", "rows that wait to be mended: damaged"],
  [427, "kvsvr.rows_mended", "sum", "rows", "kvsvr", "damaged rows fetched from another replica"],
  [428, "kvsvr.records_scrubbed", "sum", "records", "kvsvr", "records looked at for damage"],
  [429, "kvsvr.wrong_names", "sum", "names", "kvsvr", "names of keys found to be no key's"],
  [430, "kvsvr.names_unkept", "sum", "starts", "kvsvr", "starts that keep no names a second time"],
  [450, "kv.redirects", "sum", "calls", "kvsvr", "calls that found their slot moved"],

  [500, "control.reads", "sum", "reads", "control", "readings of what is blocked"],
  [
    501,
    "control.read_failures",
    "sum",
    "reads",
    "control",
    "readings of what is blocked that failed",
  ],
  [502, "control.blocks_in_force", "level", "blocks", "control", "blocks known to this process"],
  [520, "tickets.revocation_reads", "sum", "reads", "account", "readings of which logins ended"],
  [
    521,
    "tickets.revocation_failures",
    "sum",
    "reads",
    "account",
    "readings of ended logins that failed",
  ],

  [600, "text.unfinished_finished", "sum", "messages", "text", "sends finished in the background"],
  [601, "text.unfinished_given_up", "sum", "messages", "text", "sends given up in the background"],
  [
    602,
    "text.unfinished_no_room",
    "sum",
    "messages",
    "text",
    "sends not kept: too many are unfinished",
  ],
  [603, "text.sends_unwitnessed", "sum", "messages", "text", "sends of which no witness was told"],
  [
    604,
    "text.sends_refused",
    "sum",
    "messages",
    "text",
    "sends that could not be answered in time",
  ],
  [605, "text.hook_refusals", "sum", "messages", "text", "sends that an integrator refused"],
  [
    606,
    "text.hook_failures",
    "sum",
    "messages",
    "text",
    "sends about which no integrator answered",
  ],
  [620, "notify.pushed", "sum", "pushes", "text", "devices told that there is something new"],
  [621, "notify.dropped", "sum", "pushes", "text", "devices not told: too much is under way"],
  [622, "notify.failed", "sum", "pushes", "text", "devices not told: router or access failed"],
  [640, "fanout.entries_taken", "sum", "entries", "fanout", "entries taken from the queue"],
  [641, "fanout.step_failures", "sum", "steps", "fanout", "steps of a group that failed"],
  [642, "fanout.rows_delivered", "sum", "rows", "fanout", "rows that reached an inbox"],
  [
    643,
    "fanout.delivery_retries",
    "sum",
    "inboxes",
    "fanout",
    "inboxes that had to be asked again",
  ],
  [644, "fanout.steps", "sum", "steps", "fanout", "steps of groups"],
  [645, "fanout.messages_numbered", "sum", "messages", "fanout", "group messages numbered"],
  [646, "fanout.steps_lost", "sum", "steps", "fanout", "steps that another worker took"],
  [660, "sync.finishes", "sum", "messages", "sync", "stuck messages handed to text"],
  [662, "sync.contact_finishes", "sum", "contacts", "sync", "stuck requests handed to contact"],
  [
    661,
    "sync.finishes_dropped",
    "sum",
    "messages",
    "sync",
    "stuck messages not handed on: too many at once",
  ],
  [
    680,
    "retention.tables_looked_at",
    "sum",
    "tables",
    "retention",
    "tables looked at for trimming",
  ],
  [681, "retention.failures", "sum", "tables", "retention", "tables whose trimming failed"],
  [700, "account.users_erased", "sum", "users", "account", "users whose data was erased"],
  [
    701,
    "account.hashes_refused",
    "sum",
    "logins",
    "account",
    "passwords not checked: too many at once",
  ],
  [720, "media.images_decoded", "sum", "images", "media", "images made anew"],
  [721, "media.decoders_ended", "sum", "decoders", "media", "decoders that took too long"],
  [
    730,
    "media.parts_repaired",
    "sum",
    "parts",
    "media-data",
    "copies made again from another campus",
  ],
  [
    731,
    "media.parts_damaged",
    "sum",
    "parts",
    "media-data",
    "copies that were not what they should be",
  ],
  [732, "media.swept_away", "sum", "media", "media-data", "deleted media that a sweep removed"],
  [733, "media.sweep_failures", "sum", "failures", "media-data", "what a sweep could not see to"],
  [750, "moments.delivered", "sum", "moments", "moments", "moments brought into timelines"],
  [751, "moments.left_to_sweep", "sum", "moments", "moments", "deliveries left to the sweep"],
  [770, "hooks.delivered", "sum", "items", "hooks", "events and pushes that a server took"],
  [771, "hooks.post_failures", "sum", "requests", "hooks", "requests that no server took"],
  [772, "hooks.given_up", "sum", "items", "hooks", "events and pushes among the dead letters"],
  [773, "hooks.left_out", "sum", "entries", "hooks", "entries for which the queue had no room"],
] as const satisfies readonly Row[];

export type MonitorName = (typeof ROWS)[number][1];

export interface MonitorDefinition {
  readonly number: number;
  readonly name: string;
  readonly kind: MonitorKind;
  readonly unit: string;
  readonly owner: string;
  readonly description: string;
}

/** Above every number. */
export const MONITOR_NUMBERS_MAX = 1_024;

export const MONITORS: readonly MonitorDefinition[] = ROWS.map(
  ([number, name, kind, unit, owner, description]) => {
    return { number, name, kind, unit, owner, description };
  },
);
