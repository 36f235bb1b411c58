/**
 * What a replay does, derived from the logs and the run's name alone, so that the replay and the
 * ledger, which share nothing else, agree: users, groups, devices, and the id of every message.
 *
 * Every speaker is one user in all logs. A quarter of them only send until the end, one in ten has
 * a second device.
 */
import { createHash } from "node:crypto";
import type { ChatLog } from "./chat-log.ts";

export interface PlannedUser {
  readonly nick: string;
  /** Login name, unique to the run. */
  readonly name: string;
  readonly devices: readonly string[];
  /** Neither push nor sync before the end. */
  readonly onlySends: boolean;
}

export interface PlannedMessage {
  readonly clientMessageId: string;
  /** Index into `users`. */
  readonly sender: number;
  readonly text: string;
}

interface PlannedGroup {
  readonly title: string;
  /** Indexes into `users`; the first one makes the group. */
  readonly members: readonly number[];
  readonly messages: readonly PlannedMessage[];
}

export interface ReplayPlan {
  readonly run: string;
  readonly users: readonly PlannedUser[];
  readonly groups: readonly PlannedGroup[];
  readonly leftOut: number;
}

const ONLY_SENDS_ONE_IN = 4;
const SECOND_DEVICE_ONE_IN = 10;
const NAME_CHARACTERS_MAX = 64;

/** `limit`: messages taken from each log. */
export function planReplay(run: string, logs: readonly ChatLog[], limit = Infinity): ReplayPlan {
  const indexes = new Map<string, number>();
  const taken = new Set<string>();
  const users: PlannedUser[] = [];
  const userOf = (nick: string) => {
    const known = indexes.get(nick);
    if (known !== undefined) return known;
    indexes.set(nick, users.length);
    return users.push(planUser(run, nick, { index: users.length, taken })) - 1;
  };
  const groups = logs.map((log, index): PlannedGroup => {
    const messages = log.lines.slice(0, limit).map((line) => ({
      clientMessageId: `${run}-${index}-${line.number}`,
      sender: userOf(line.nick),
      text: line.text,
    }));
    return { title: log.title, members: [...new Set(messages.map((m) => m.sender))], messages };
  });
  const leftOut = logs.reduce((sum, log) => sum + log.leftOut, 0);
  return { run, users, groups: groups.filter((g) => g.messages.length > 0), leftOut };
}

function planUser(
  run: string,
  nick: string,
  { index, taken }: { index: number; taken: Set<string> },
): PlannedUser {
  const plain = userName(run, nick);
  // To the platform ann and Ann are one name; here they are two people.
  const name = taken.has(plain.toLowerCase()) ? withSuffix(plain, String(index)) : plain;
  taken.add(name.toLowerCase());
  return {
    nick,
    name,
    devices: index % SECOND_DEVICE_ONE_IN === 0 ? ["phone", "laptop"] : ["phone"],
    onlySends: index % ONLY_SENDS_ONE_IN === ONLY_SENDS_ONE_IN - 1,
  };
}

/** A nick as a login name: what a name may not hold becomes `.hex`, so that no two nicks meet. */
function userName(run: string, nick: string): string {
  const plain = [...Buffer.from(nick)].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_-]/.test(character) ? character : `.${byte.toString(16).padStart(2, "0")}`;
  });
  const name = `${run}-${plain.join("")}`;
  if (name.length <= NAME_CHARACTERS_MAX) return name;
  return withSuffix(name, createHash("sha256").update(nick).digest("hex").slice(0, 16));
}

/** Two dots stand in no name without a suffix. */
function withSuffix(name: string, suffix: string): string {
  return `${name.slice(0, NAME_CHARACTERS_MAX - suffix.length - 2)}..${suffix}`;
}

/** Messages times the devices of the members that are to have them. */
export function countDeliveries(plan: ReplayPlan): number {
  let deliveries = 0;
  for (const { members, messages } of plan.groups) {
    for (const member of members)
      deliveries += messages.length * plan.users[member]!.devices.length;
  }
  return deliveries;
}
