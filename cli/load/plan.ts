/**
 * Who takes part in a load, and who sends what to whom when: derived from the profile and the run's
 * name alone, so that generators, which share the work, agree without talking. Every generator walks
 * through the whole schedule and does what falls to its users.
 */
import { Random } from "../../services/svrkit/seeded-random.ts";
import type { Profile } from "./profile.ts";

export interface PlannedUser {
  /** Login name, unique to the run. */
  readonly name: string;
  readonly devices: readonly string[];
}

export interface Population {
  /** Those that are online come first. */
  readonly users: readonly PlannedUser[];
  /** Indexes into `users`; the first one makes the group and is online. */
  readonly groups: readonly (readonly number[])[];
}

/** Where a message goes: to the other side of a pair, or to a group by its index. */
type Target = { readonly user: number } | { readonly group: number };

export interface PlannedSend {
  readonly clientMessageId: string;
  /** Seconds since the phase began. */
  readonly dueS: number;
  readonly sender: number;
  readonly to: Target;
  readonly bytes: number;
}

export function planPopulation(run: string, profile: Profile): Population {
  const { online, offline, secondDeviceOneIn } = profile;
  const users = Array.from({ length: online + offline }, (_, index): PlannedUser => {
    const hasTwo = index < online && secondDeviceOneIn > 0 && index % secondDeviceOneIn === 0;
    return { name: `${run}-${index}`, devices: hasTwo ? ["phone", "laptop"] : ["phone"] };
  });
  const random = new Random(0, `${run}/groups`);
  const groups = profile.groups.flatMap(({ count, members }) =>
    Array.from({ length: count }, () => drawMembers(random, members, profile)),
  );
  return { users, groups };
}

function drawMembers(random: Random, wanted: number, { online, offline }: Profile): number[] {
  const all = online + offline;
  const members = new Set<number>([random.index(online)]);
  // Nearly everybody: drawn by leaving out, or the last ones would take for ever to hit.
  if (wanted * 2 > all) {
    const others = Array.from({ length: all }, (_, index) => index).filter((i) => !members.has(i));
    for (let left = others.length; left > 0 && members.size < wanted; left--) {
      const [one] = others.splice(random.index(left), 1);
      members.add(one!);
    }
  }
  while (members.size < Math.min(wanted, all)) members.add(random.index(all));
  return [...members];
}

/** The two of a pair: no two pairs are the same two people. */
export function pairOf(index: number, { online, pairs, newPairs }: Profile): [number, number] {
  if (!newPairs && pairs * 2 <= online) return [2 * index, 2 * index + 1];
  const distance = 1 + Math.floor(index / online);
  const first = index % online;
  return [first, (first + distance) % online];
}

/** So many pairs are different people. */
function pairsMax(online: number): number {
  return online * Math.floor((online - 1) / 2);
}

export class Schedule {
  readonly #run: string;
  readonly #phase: number;
  readonly #profile: Profile;
  readonly #groups: Population["groups"];
  readonly #random: Random;
  #dueS = 0;
  #index = 0;

  /** `profile`: with the phase's rates. */
  constructor(
    { run, phase, profile }: { run: string; phase: number; profile: Profile },
    { groups }: Population,
  ) {
    this.#run = run;
    this.#phase = phase;
    this.#profile = profile;
    this.#groups = groups;
    this.#random = new Random(phase, `${run}/sends`);
  }

  /** Arrivals by chance, as many people send: their gaps are exponential. Undefined at the end. */
  next(): PlannedSend | undefined {
    const { sendsPerSecond, seconds, groupShare } = this.#profile;
    if (sendsPerSecond === 0) return undefined;
    this.#dueS += nextGap(this.#random, sendsPerSecond);
    if (this.#dueS >= seconds) return undefined;
    const isForGroup = this.#random.chance(groupShare);
    const { sender, to } = isForGroup ? this.#toGroup() : this.#toOther();
    const clientMessageId = `${this.#run}-${this.#phase}-${this.#index++}`;
    return { clientMessageId, dueS: this.#dueS, sender, to, bytes: this.#bytes() };
  }

  #toGroup(): Pick<PlannedSend, "sender" | "to"> {
    const group = this.#random.index(this.#groups.length);
    const members = this.#groups[group]!;
    const { online } = this.#profile;
    for (;;) {
      const sender = this.#random.pick(members);
      if (sender < online) return { sender, to: { group } }; // the first member always is
    }
  }

  #toOther(): Pick<PlannedSend, "sender" | "to"> {
    const { newPairs, pairs, online } = this.#profile;
    const index = newPairs ? this.#index % pairsMax(online) : this.#random.index(pairs);
    const pair = pairOf(index, this.#profile);
    const side = this.#random.index(2);
    return { sender: pair[side]!, to: { user: pair[1 - side]! } };
  }

  #bytes(): number {
    let left = this.#random.next();
    for (const [share, bytes] of this.#profile.payload) {
      left -= share;
      if (left < 0) return bytes;
    }
    return this.#profile.payload.at(-1)![1];
  }
}

/** Seconds until the next of `perSecond` independent events. */
export function nextGap(random: Random, perSecond: number): number {
  return -Math.log(1 - random.next()) / perSecond;
}

/** When a text was due, milliseconds since 1970, and filling up to `bytes`. */
export function textOf(dueMs: number, bytes: number): string {
  return `${dueMs.toFixed(1)} `.padEnd(bytes, "the quick brown fox jumps over the lazy dog ");
}

export function dueOf(text: string): number {
  return Number.parseFloat(text);
}
