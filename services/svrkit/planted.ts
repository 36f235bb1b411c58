/**
 * Planted bugs in the way of messages: each breaks one rule on purpose, so that the simulation can show
 * that its ledger notices (sim/messages/bugs.ts). None is ever planted in production: nothing there calls
 * `plantMessageBug`. Free of Node, for clients.
 */
export const MESSAGE_BUGS = [
  "acknowledged-unwritten",
  "client-id-ignored",
  "numbered-twice",
  "mark-skips",
  "delivered-too-early",
  "trim-at-newest",
  "first-sync-not-counted",
  "snapshot-not-kept",
  "recall-not-shown",
  "resend-as-new",
] as const;

export type MessageBug = (typeof MESSAGE_BUGS)[number];

let active: MessageBug | undefined;

/** True only in a simulation that has planted this bug. */
export function hasBug(bug: MessageBug): boolean {
  return active === bug;
}

/** Only for simulations; undefined takes it out again. */
export function plantMessageBug(bug: MessageBug | undefined): void {
  active = bug;
}
