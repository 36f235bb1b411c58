/**
 * The ledger: for every (message, member, device), was it there exactly once, unchanged, and in the
 * conversation's order? Pure: it is given the plan and, device by device, the rows in the order in
 * which the device stored them.
 *
 * Order is proven twice: on one device a conversation's sequence numbers rise, and rise in the order
 * of the log's lines; between devices, one message has one sequence number everywhere.
 */
import type { ReplayPlan } from "./plan.ts";

export interface StoredRow {
  readonly conversationId: string;
  readonly sequence: number;
  readonly clientMessageId: string;
  readonly text: string;
}

export interface LedgerCounts {
  /** Messages that had to arrive. */
  messages: number;
  /** Rows that were where they had to be. */
  deliveries: number;
  missing: number;
  duplicates: number;
  outOfOrder: number;
  /** The right message with another text. */
  altered: number;
  /** Rows that have no business on this device: of no known message, or of a group of others. */
  foreign: number;
}

interface Expected {
  readonly group: number;
  readonly position: number;
  readonly text: string;
  /** false: its sender was never told that it was accepted; it may be missing, or come late. */
  readonly required: boolean;
}

interface GroupOnDevice {
  readonly seen: Uint8Array;
  conversationId: string;
  lastPosition: number;
  lastSequence: number;
}

const EXAMPLES_MAX = 20;

export class Ledger {
  readonly counts: LedgerCounts = {
    messages: 0,
    deliveries: 0,
    missing: 0,
    duplicates: 0,
    outOfOrder: 0,
    altered: 0,
    foreign: 0,
  };
  /** The first findings in words. */
  readonly examples: string[] = [];
  readonly #plan: ReplayPlan;
  readonly #expected = new Map<string, Expected>();
  readonly #sequences: Float64Array[];
  readonly #checked = new Set<string>();

  /** `acknowledged`: ids of the messages that must be there; undefined: all. */
  constructor(plan: ReplayPlan, acknowledged?: ReadonlySet<string>) {
    this.#plan = plan;
    this.#sequences = plan.groups.map((group) => new Float64Array(group.messages.length));
    plan.groups.forEach(({ messages }, group) => {
      messages.forEach(({ clientMessageId, text }, position) => {
        const required = acknowledged === undefined || acknowledged.has(clientMessageId);
        if (required) this.counts.messages += 1;
        this.#expected.set(clientMessageId, { group, position, text, required });
      });
    });
  }

  checkDevice(user: number, device: string, rows: Iterable<StoredRow>): void {
    const where = `${this.#plan.users[user]!.name}/${device}`;
    this.#checked.add(where);
    const groups = this.#groupsOf(user);
    for (const row of rows) this.#checkRow(where, groups, row);
    for (const [group, { seen }] of groups) this.#countMissing(where, group, seen);
  }

  /** Devices nobody gave rows for have nothing: everything is missing there. Call last. */
  finish(): void {
    this.#plan.users.forEach(({ name, devices }, user) => {
      for (const device of devices) {
        if (!this.#checked.has(`${name}/${device}`)) this.checkDevice(user, device, []);
      }
    });
  }

  get clean(): boolean {
    const { missing, duplicates, outOfOrder, altered, foreign } = this.counts;
    return missing + duplicates + outOfOrder + altered + foreign === 0;
  }

  #groupsOf(user: number): Map<number, GroupOnDevice> {
    const groups = new Map<number, GroupOnDevice>();
    this.#plan.groups.forEach(({ members, messages }, group) => {
      if (!members.includes(user)) return;
      const seen = new Uint8Array(messages.length);
      groups.set(group, { seen, conversationId: "", lastPosition: -1, lastSequence: 0 });
    });
    return groups;
  }

  #checkRow(where: string, groups: Map<number, GroupOnDevice>, row: StoredRow): void {
    const expected = this.#expected.get(row.clientMessageId);
    const group = expected === undefined ? undefined : groups.get(expected.group);
    if (expected === undefined || group === undefined) {
      this.#find("foreign", where, row);
      return;
    }
    if (group.seen[expected.position] === 1) {
      this.#find("duplicates", where, row);
      return;
    }
    group.seen[expected.position] = 1;
    this.counts.deliveries += 1;
    if (row.text !== expected.text) this.#find("altered", where, row);
    if (!this.#inOrder(expected, group, row)) this.#find("outOfOrder", where, row);
    group.conversationId = row.conversationId;
    if (expected.required) group.lastPosition = expected.position;
    group.lastSequence = row.sequence;
  }

  #inOrder(expected: Expected, group: GroupOnDevice, row: StoredRow): boolean {
    const sequences = this.#sequences[expected.group]!;
    const elsewhere = sequences[expected.position]!;
    if (elsewhere === 0) sequences[expected.position] = row.sequence;
    const oneSequence = elsewhere === 0 || elsewhere === row.sequence;
    const oneGroup = group.conversationId === "" || group.conversationId === row.conversationId;
    // What was never acknowledged did not hold up the next line: it may come after it.
    const rises = !expected.required || expected.position > group.lastPosition;
    return oneSequence && oneGroup && rises && row.sequence > group.lastSequence;
  }

  #countMissing(where: string, group: number, seen: Uint8Array): void {
    this.#plan.groups[group]!.messages.forEach(({ clientMessageId }, position) => {
      if (seen[position] === 1 || !this.#expected.get(clientMessageId)!.required) return;
      this.counts.missing += 1;
      this.#example(`missing on ${where}: ${clientMessageId}`);
    });
  }

  #find(kind: "foreign" | "duplicates" | "altered" | "outOfOrder", where: string, row: StoredRow) {
    this.counts[kind] += 1;
    this.#example(`${kind} on ${where}: ${row.clientMessageId}, sequence ${row.sequence}`);
  }

  #example(text: string): void {
    if (this.examples.length < EXAMPLES_MAX) this.examples.push(text);
  }
}
