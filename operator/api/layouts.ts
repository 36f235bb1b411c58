/** Which services run together, in pods of one name. */

/** What runs in pods of its own, by layout. KV groups are not among them: see KVGroup. */
export const LAYOUTS = {
  Compact: {
    access: ["access"],
    logic: [
      "account-data",
      "inbox-data",
      "message-data",
      "group-data",
      "contact-data",
      "account",
      "text",
      "group",
      "sync",
      "conversation",
      "contact",
      "moments-data",
      "moments",
    ],
    queue: ["router", "queue", "fanout", "hooks", "retention"],
    "media-data": ["media-data", "media"],
    queuelog: ["queuelog-1", "queuelog-2"],
    admin: ["admin"],
  },
  Split: {
    access: ["access"],
    account: ["account"],
    text: ["text"],
    group: ["group"],
    sync: ["sync"],
    "account-data": ["account-data"],
    "inbox-data": ["inbox-data"],
    "message-data": ["message-data"],
    "group-data": ["group-data"],
    "contact-data": ["contact-data"],
    "media-data": ["media-data"],
    media: ["media"],
    "moments-data": ["moments-data"],
    moments: ["moments"],
    contact: ["contact"],
    router: ["router"],
    queue: ["queue"],
    fanout: ["fanout"],
    hooks: ["hooks"],
    conversation: ["conversation"],
    retention: ["retention"],
    queuelog: ["queuelog-1", "queuelog-2"],
    admin: ["admin"],
  },
} as const;

/** One a campus, whatever is asked for: they own what their campus does. */
export const ONE_A_CAMPUS = [
  ...["queuelog", "queue", "fanout", "hooks", "router", "retention"],
  "media-data",
] as const;

/** What can be sized, by its name in one layout or the other. */
export const WORKLOADS = [
  ...new Set([...Object.keys(LAYOUTS.Compact), ...Object.keys(LAYOUTS.Split)]),
] as [string, ...string[]];
