/** The names of all services, in the order in which a process starts those it holds. */
export const SERVICES = [
  "access",
  "kvsvr",
  "queuelog-1",
  "queuelog-2",
  "queue",
  "router",
  "account-data",
  "inbox-data",
  "message-data",
  "group-data",
  "account",
  "text",
  "group",
  "sync",
  "fanout",
  "conversation",
  "retention",
  "contact-data",
  "contact",
  "media-data",
  "media",
  "moments-data",
  "moments",
  "hooks",
] as const;

/**
 * Further KV groups, each a process of its own in every campus. Everybody knows where they are or would
 * be, so that a group is added without telling anybody; one that is not started is never called.
 */
export const FURTHER_KV_GROUPS = [
  "kvsvr-2",
  "kvsvr-3",
  "kvsvr-4",
  "kvsvr-5",
  "kvsvr-6",
  "kvsvr-7",
  "kvsvr-8",
] as const;

/** In the order of their numbers: position 0 is group 1. */
export const KV_GROUPS = ["kvsvr", ...FURTHER_KV_GROUPS] as const;

export const QUEUE_LOGS = ["queuelog-1", "queuelog-2"] as const;
export type QueueLogName = (typeof QUEUE_LOGS)[number];

/** Where people who run the platform come in from outside; on one machine they are inside. */
export const ADMIN = "admin";

/** A process of these alone gets a CPU after all others: messages do not wait for images or moments. */
export const LESS_URGENT: readonly string[] = ["media-data", "media", "moments-data", "moments"];

export const ALL_SERVICES = [...SERVICES, ...FURTHER_KV_GROUPS, ADMIN] as const;

/** Services that nobody chooses, so that none can be blocked by itself, and what to do about them instead. */
export const NOT_ROUTED: Readonly<Record<string, string>> = {
  fanout: "it takes its work from the queue: block queue there",
  retention: "nobody calls it: it passes over the tables by itself",
  "queuelog-1": "two of the three logs decide, and none is chosen",
  "queuelog-2": "two of the three logs decide, and none is chosen",
};

export type ServiceName = (typeof ALL_SERVICES)[number];

/**
 * By position a service has its port (layout.ts). Those named here stand where they stood when the
 * further KV groups came; what is new goes behind them, so that ports stay where they were.
 */
const FIRST_SERVICES = SERVICES.slice(0, SERVICES.indexOf("conversation"));
const LATER_SERVICES = SERVICES.slice(FIRST_SERVICES.length);
export const PORT_ORDER: readonly ServiceName[] = [
  ...FIRST_SERVICES,
  ...FURTHER_KV_GROUPS,
  ...LATER_SERVICES,
];

export function isService(name: string): name is ServiceName {
  return (ALL_SERVICES as readonly string[]).includes(name);
}
