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

export type ServiceName = (typeof SERVICES)[number];

export function isService(name: string): name is ServiceName {
  return (SERVICES as readonly string[]).includes(name);
}
