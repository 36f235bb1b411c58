/**
 * The names of all services, in the order in which a process starts those it holds. The position
 * also gives a service its port (layout.ts): append new ones, so that ports stay where they were.
 */
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

export const ALL_SERVICES = [...SERVICES, ...FURTHER_KV_GROUPS] as const;

export type ServiceName = (typeof ALL_SERVICES)[number];

export function isService(name: string): name is ServiceName {
  return (ALL_SERVICES as readonly string[]).includes(name);
}
