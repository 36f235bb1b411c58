/**
 * The ledger: for every (message, member, device), was it there exactly once, unchanged, and in the
 * conversation's order? Pure: it is given what was sent and, device by device, the rows in the order in
 * which the device stored them.
 *
 * Order is proven three times: on one device a conversation's sequence numbers rise; between devices,
 * one message has one sequence number everywhere; and a message that was sent after another one was
 * acknowledged has the higher number. For the last one a message either has its times, or stands in a
 * list that was sent one by one.
 */
export interface LedgerPlan {
  readonly users: readonly { readonly name: string; readonly devices: readonly string[] }[];
  readonly groups: readonly LedgerGroup[];
}

/** A conversation: a group, or the two sides of a 1:1. */
interface LedgerGroup {
  /** Indexes into `users`. */
  readonly members: readonly number[];
  readonly messages: readonly LedgerMessage[];
  /** 1:1: a device keeps its user's own messages when they are acknowledged, not in the inbox's order. */
  readonly isDirect?: boolean;
}

export interface LedgerMessage {
  readonly clientMessageId: string;
  readonly sender: number;
  readonly text: string;
  /** Milliseconds since 1970; without: the message before in the list was acknowledged before. */
  readonly times?: { readonly sentAtMs: number; readonly acknowledgedAtMs: number };
}

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
  /** Conversations whose device counts something else as unread than what others sent and nobody read. */
  unreadWrong: number;
}

type Findings = Omit<LedgerCounts, "messages" | "deliveries">;

/** How much is wrong; 0: the ledger is clean. */
export function countWrong(counts: Findings): number {
  const { missing, duplicates, outOfOrder, altered, foreign, unreadWrong } = counts;
  return missing + duplicates + outOfOrder + altered + foreign + unreadWrong;
}

/** What a device says of a conversation. */
export interface ShownUnread {
  readonly conversationId: string;
  readonly unread: number;
  readonly readSequence: number;
}

interface Expected {
  readonly group: number;
  readonly position: number;
  readonly text: string;
  readonly isTimed: boolean;
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
/** Clocks of two processes on one machine may differ by so much. */
const CLOCKS_DIFFER_MS = 20;

export class Ledger {
  readonly counts: LedgerCounts = {
    messages: 0,
    deliveries: 0,
    missing: 0,
    duplicates: 0,
    outOfOrder: 0,
    altered: 0,
    foreign: 0,
    unreadWrong: 0,
  };
  /** The first findings in words. */
  readonly examples: string[] = [];
  readonly #plan: LedgerPlan;
  /** By user: the groups that the user is in. */
  readonly #groupsByUser: readonly number[][];
  /** By id: the group that rows with this conversation id were of. */
  readonly #conversations = new Map<string, number>();
  readonly #expected = new Map<string, Expected>();
  readonly #sequences: Float64Array[];
  readonly #checked = new Set<string>();

  /** `acknowledged`: ids of the messages that must be there; undefined: all. */
  constructor(plan: LedgerPlan, acknowledged?: ReadonlySet<string>) {
    this.#plan = plan;
    this.#groupsByUser = plan.users.map(() => []);
    this.#sequences = plan.groups.map((group) => new Float64Array(group.messages.length));
    plan.groups.forEach(({ members, messages }, group) => {
      for (const member of members) this.#groupsByUser[member]!.push(group);
      messages.forEach(({ clientMessageId, text, times }, position) => {
        const required = acknowledged === undefined || acknowledged.has(clientMessageId);
        if (required) this.counts.messages += 1;
        const isTimed = times !== undefined;
        this.#expected.set(clientMessageId, { group, position, text, isTimed, required });
      });
    });
  }

  checkDevice(user: number, device: string, rows: Iterable<StoredRow>): void {
    const where = `${this.#plan.users[user]!.name}/${device}`;
    this.#checked.add(where);
    const groups = this.#groupsOf(user);
    for (const row of rows) this.#checkRow({ user, where }, groups, row);
    for (const [group, { seen }] of groups) this.#countMissing(where, group, seen);
  }

  /** Devices nobody gave rows for have nothing: everything is missing there. Call after all rows. */
  finish(): void {
    this.#plan.users.forEach(({ name, devices }, user) => {
      for (const device of devices) {
        if (!this.#checked.has(`${name}/${device}`)) this.checkDevice(user, device, []);
      }
    });
    for (const group of this.#plan.groups.keys()) this.#checkTimes(group);
  }

  /** After `finish`, which knows all sequence numbers. */
  checkUnread(user: number, device: string, shown: readonly ShownUnread[]): void {
    for (const { conversationId, unread, readSequence } of shown) {
      const group = this.#conversations.get(conversationId);
      if (group === undefined) continue;
      const sequences = this.#sequences[group]!;
      const { messages } = this.#plan.groups[group]!;
      const isUnread = ({ sender }: LedgerMessage, position: number) =>
        sender !== user && sequences[position]! > readSequence;
      const most = messages.filter(isUnread);
      // What was never acknowledged may be on one device and not yet on another.
      const least = most.filter((one) => this.#expected.get(one.clientMessageId)!.required).length;
      if (unread >= least && unread <= most.length) continue;
      this.counts.unreadWrong += 1;
      const where = `${this.#plan.users[user]!.name}/${device}`;
      this.#example(`${where} shows ${unread} unread in ${conversationId}, not ${least}`);
    }
  }

  #groupsOf(user: number): Map<number, GroupOnDevice> {
    const groups = new Map<number, GroupOnDevice>();
    for (const group of this.#groupsByUser[user]!) {
      const seen = new Uint8Array(this.#plan.groups[group]!.messages.length);
      groups.set(group, { seen, conversationId: "", lastPosition: -1, lastSequence: 0 });
    }
    return groups;
  }

  /** In the order of numbers: nothing was acknowledged before a message of a lower number was sent. */
  #checkTimes(group: number): void {
    const sequences = this.#sequences[group]!;
    const numbered = this.#plan.groups[group]!.messages.flatMap(({ clientMessageId, times }, i) =>
      times === undefined || sequences[i] === 0
        ? []
        : [{ clientMessageId, ...times, sequence: sequences[i]! }],
    );
    let sentLastMs = Number.NEGATIVE_INFINITY;
    for (const one of numbered.sort((a, b) => a.sequence - b.sequence)) {
      if (one.acknowledgedAtMs + CLOCKS_DIFFER_MS < sentLastMs) {
        this.counts.outOfOrder += 1;
        const lateMs = Math.round(sentLastMs - one.acknowledgedAtMs);
        this.#example(
          `${one.clientMessageId}, sequence ${one.sequence}: numbered after a message sent ` +
            `${lateMs} ms later than this one was acknowledged`,
        );
      }
      sentLastMs = Math.max(sentLastMs, one.sentAtMs);
    }
  }

  #checkRow(
    { user, where }: { user: number; where: string },
    groups: Map<number, GroupOnDevice>,
    row: StoredRow,
  ): void {
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
    const { isDirect = false, messages } = this.#plan.groups[expected.group]!;
    const isOwn = isDirect && messages[expected.position]!.sender === user;
    const isOne = this.#isOneEverywhere(expected, group, row);
    if (!isOne || !(isOwn || rises(expected, group, row))) this.#find("outOfOrder", where, row);
    group.conversationId = row.conversationId;
    this.#conversations.set(row.conversationId, expected.group);
    if (isOwn) return;
    if (expected.required) group.lastPosition = expected.position;
    group.lastSequence = row.sequence;
  }

  #isOneEverywhere(expected: Expected, group: GroupOnDevice, row: StoredRow): boolean {
    const sequences = this.#sequences[expected.group]!;
    const elsewhere = sequences[expected.position]!;
    if (elsewhere === 0) sequences[expected.position] = row.sequence;
    const oneSequence = elsewhere === 0 || elsewhere === row.sequence;
    const oneGroup = group.conversationId === "" || group.conversationId === row.conversationId;
    return oneSequence && oneGroup;
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

/** What was never acknowledged did not hold up the next line: it may come after it. */
function rises({ required, isTimed, position }: Expected, group: GroupOnDevice, row: StoredRow) {
  const inTheList = isTimed || !required || position > group.lastPosition;
  return inTheList && row.sequence > group.lastSequence;
}
