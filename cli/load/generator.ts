/**
 * One process of a load: the devices of its users, what they send and when. Open loop: a send happens
 * when it is due, whatever became of those before it, and its latency counts from then on.
 */
import { UnansweredSend } from "../../sdk/outbox.ts";
import type { Recipient, SendRecord, StoredMessage } from "../../sdk/store.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { Random } from "../../services/svrkit/seeded-random.ts";
import { inParallel } from "../ledger/in-parallel.ts";
import { deviceFile } from "../replay/files.ts";
import { LoadDevice } from "./device.ts";
import type { GeneratorTask, Named, Order, Phase } from "./orders.ts";
import {
  dueOf,
  nextGap,
  type PlannedSend,
  type Population,
  planPopulation,
  Schedule,
  textOf,
} from "./plan.ts";
import { SETTLE_MS_MAX, STILL_MS } from "./settle.ts";
import { Tally } from "./tally.ts";
import { writeUnread } from "./unread-file.ts";

const LOGINS_AT_ONCE = 16;
const GROUPS_AT_ONCE = 4;
const SYNC_ATTEMPTS = 5;
/** For its own message that is on its way a device syncs so often, and so long: from 6 s on a sync finishes it. */
const OWN_EVERY_MS = 500;
const OWN_MS_MAX = 30_000;
const QUIET_POLL_MS = 250;
/** What is under way when its message is given up may have its answer within a tick of the link's. */
const GIVEN_UP_MS = 1_000;
/** One user in so many reads, every second of its conversations. */
const READS_ONE_IN = 3;

export class Generator {
  readonly tally = new Tally();
  readonly #task: GeneratorTask;
  readonly #population: Population;
  /** By user: its devices, the first of which sends; of users of other generators, nothing. */
  readonly #devices: (readonly LoadDevice[] | undefined)[];
  /** By group: devices that are online. */
  readonly #onlineDevices: readonly number[];
  /** By client message id: arrivals to come once a send is acknowledged whose sender was told of no answer. */
  readonly #unanswered = new Map<string, number>();
  readonly #stillMs: number;
  #userIds: readonly string[] = [];

  /** `stillMs`: open sends are given up when none of them has had an outcome for so long. */
  constructor(task: GeneratorTask, stillMs: number = STILL_MS) {
    this.#task = task;
    this.#stillMs = stillMs;
    this.#population = planPopulation(task.run, task.profile);
    const { users, groups } = this.#population;
    this.#devices = users.map(() => undefined);
    this.#onlineDevices = groups.map((members) => this.#countOnline(members));
  }

  async carryOut(order: Exclude<Order, { kind: "open" }>): Promise<Named | undefined> {
    switch (order.kind) {
      case "meet":
        return this.meet(order.userIds);
      case "phase":
        await this.#run(order.phase, order.groupIds);
        return undefined;
      case "quiet":
        await this.#quiet();
        return undefined;
      case "sync":
        await this.#syncAll();
        return undefined;
      case "read":
        await this.#read();
        return undefined;
      case "close":
        await this.#close();
        return undefined;
    }
  }

  async open(): Promise<Named> {
    const ids: [number, string][] = [];
    await inParallel(this.#own(), LOGINS_AT_ONCE, async (user) => {
      const isOnline = user < this.#task.profile.online;
      const { name, devices: names } = this.#population.users[user]!;
      const devices = names.map((device) => this.#makeDevice(user, name, device));
      this.#devices[user] = devices;
      for (const [index, device] of devices.entries()) {
        await (index === 0 ? device.register() : device.logIn());
        ids[user] = [user, device.client.userId!];
        if (isOnline) await device.connect();
        else await device.leave();
      }
      this.tally.ready += 1;
    });
    return ids.filter((named) => named !== undefined);
  }

  /** The groups whose first member is one of its users, and its users' contacts. */
  async meet(userIds: readonly string[]): Promise<Named> {
    this.#userIds = userIds;
    const made: [number, string][] = [];
    const own = [...this.#population.groups.entries()].filter(([, members]) =>
      this.#owns(members[0]!),
    );
    await inParallel(own, GROUPS_AT_ONCE, async ([index, members]) => {
      const { client } = this.#devices[members[0]!]![0]!;
      const ids = members.map((member) => userIds[member]!);
      const { run } = this.#task;
      made.push([index, await client.groups.create(`${run} ${index}`, ids, `${run}-${index}`)]);
    });
    await this.#askContacts();
    return made;
  }

  /** Neighbours in both directions: who has asked and was asked is a contact. */
  async #askContacts(): Promise<void> {
    const { contacts, online } = this.#task.profile;
    const users = this.#own().filter((user) => user < online);
    await inParallel(users, LOGINS_AT_ONCE, async (user) => {
      const { client } = this.#devices[user]![0]!;
      for (let step = 1; step <= Math.min(contacts / 2, (online - 1) / 2); step++) {
        for (const other of [(user + step) % online, (user - step + online) % online]) {
          await client.contacts.ask(this.#userIds[other]!);
        }
      }
      this.tally.ready += 1;
    });
  }

  async #run(phase: Phase, groupIds: readonly string[]): Promise<void> {
    const { run, profile } = this.#task;
    const { number, sendsPerSecond, seconds, startAtMs } = phase;
    const rates = { ...profile, sendsPerSecond, seconds };
    const schedule = new Schedule({ run, phase: number, profile: rates }, this.#population);
    await Promise.all([
      this.#sendAll(schedule, startAtMs, groupIds),
      this.#comeAndGo("ticket", profile.reconnectsPerSecond, phase),
      this.#comeAndGo("password", profile.loginsPerSecond, phase),
    ]);
  }

  async #sendAll(
    schedule: Schedule,
    startAtMs: number,
    groupIds: readonly string[],
  ): Promise<void> {
    const open = new Set<Promise<void>>();
    for (let send = schedule.next(); send !== undefined; send = schedule.next()) {
      if (!this.#owns(send.sender)) continue;
      const dueMs = startAtMs + send.dueS * 1_000;
      await this.#waitUntil(dueMs);
      const sending = this.#send(send, dueMs, groupIds).finally(() => open.delete(sending));
      open.add(sending);
    }
    await Promise.all(open);
  }

  async #send(send: PlannedSend, dueMs: number, groupIds: readonly string[]): Promise<void> {
    const { clientMessageId, sender, to, bytes } = send;
    const recipient: Recipient =
      "user" in to ? { userId: this.#userIds[to.user]! } : { groupId: groupIds[to.group]! };
    const text = textOf(dueMs, bytes);
    const arrivals =
      "user" in to ? this.#countOnline([sender, to.user]) : this.#onlineDevices[to.group]!;
    try {
      await this.#devices[sender]![0]!.send(recipient, text, clientMessageId);
      this.tally.acknowledgements.add(preciseNow() - dueMs);
      this.tally.expected += arrivals;
    } catch (error) {
      if (error instanceof UnansweredSend) this.#unanswered.set(clientMessageId, arrivals);
      this.tally.fail(clientMessageId, error);
    }
  }

  /** Connections of users, drawn by chance, that end and come back. */
  async #comeAndGo(by: "ticket" | "password", perSecond: number, phase: Phase): Promise<void> {
    const { generators, index, run, profile } = this.#task;
    if (perSecond === 0) return;
    const users = this.#own().filter((user) => user < profile.online);
    const random = new Random(phase.number, `${run}/${by}/${index}`);
    const open = new Set<Promise<void>>();
    const latencies = () => (by === "ticket" ? this.tally.reconnects : this.tally.logins);
    for (let dueS = 0; ; ) {
      dueS += nextGap(random, perSecond / generators);
      if (dueS >= phase.seconds) break;
      const dueMs = phase.startAtMs + dueS * 1_000;
      await this.#waitUntil(dueMs);
      const device = this.#devices[random.pick(users)]![0]!;
      if (device.isReturning) continue;
      const returning = device
        .comeBack(by)
        .then(
          () => latencies().add(preciseNow() - dueMs),
          (error: unknown) => this.tally.fail(`${device.facts.user} coming back`, error),
        )
        .finally(() => open.delete(returning));
      open.add(returning);
    }
    await Promise.all(open);
  }

  async #waitUntil(dueMs: number): Promise<void> {
    const waitMs = dueMs - preciseNow();
    // What is due within this millisecond goes in one turn, a little early instead of late.
    if (waitMs >= 1) await rest(waitMs);
    const lateMs = preciseNow() - dueMs;
    if (lateMs > this.tally.lateMs) this.tally.lateMs = lateMs;
  }

  async #quiet(): Promise<void> {
    const devices = this.#own().map((user) => this.#devices[user]![0]!);
    const countOpen = () => devices.reduce((sum, device) => sum + device.openSends, 0);
    const beginMs = performance.now();
    let movedMs = beginMs;
    for (let before = countOpen(); before > 0; ) {
      await rest(QUIET_POLL_MS);
      const open = countOpen();
      const nowMs = performance.now();
      if (open !== before) movedMs = nowMs;
      before = open;
      if (nowMs - movedMs > this.#stillMs || nowMs - beginMs > SETTLE_MS_MAX) break;
    }
    const left = countOpen();
    if (left === 0) return;
    this.tally.givenUp += left;
    for (const device of devices) device.giveUpSends();
    await rest(GIVEN_UP_MS);
  }

  #settledLate({ clientMessageId, outcome }: SendRecord): void {
    if (outcome.state === "acknowledged")
      this.tally.expected += this.#unanswered.get(clientMessageId) ?? 0;
  }

  /** Who was away comes, takes everything, and goes. */
  async #syncAll(): Promise<void> {
    const { profile } = this.#task;
    await inParallel(this.#own(), profile.syncsAtOnce, async (user) => {
      for (const device of this.#devices[user]!) {
        if (user < profile.online) {
          await this.#syncPatiently(device);
        } else if (device.store.snapshot.version === 0) {
          const startMs = performance.now();
          await device.connect();
          await this.#syncPatiently(device);
          this.tally.syncs.add(performance.now() - startMs);
          this.#noteUnread(device);
          await device.leave();
        }
      }
      this.tally.ready += 1;
    });
  }

  /** Until no own message is on its way: what others have acknowledged may lie behind it. */
  async #syncPatiently({ client }: LoadDevice): Promise<void> {
    const beginMs = performance.now();
    for (let failures = 0; ; ) {
      try {
        await client.sync();
      } catch (error) {
        failures += 1;
        if (failures === SYNC_ATTEMPTS) throw error;
        continue;
      }
      if (!client.awaitsOwn) return;
      if (performance.now() - beginMs > OWN_MS_MAX) {
        this.tally.syncsBehind += 1;
        return;
      }
      await rest(OWN_EVERY_MS);
    }
  }

  async #read(): Promise<void> {
    const readers = this.#own().filter(
      (user) => user < this.#task.profile.online && user % READS_ONE_IN === 0,
    );
    await inParallel(readers, this.#task.profile.syncsAtOnce, async (user) => {
      const { conversations } = this.#devices[user]![0]!.client;
      for (const [index, { conversationId }] of conversations.list().entries())
        if (index % 2 === 0) await conversations.markRead(conversationId);
    });
  }

  async #close(): Promise<void> {
    const { online } = this.#task.profile;
    for (const user of this.#own()) {
      for (const device of this.#devices[user] ?? []) {
        if (user < online) this.#noteUnread(device);
        await device.close();
      }
    }
  }

  #noteUnread({ facts: { user, device }, store }: LoadDevice): void {
    const { storesDir, index: generator } = this.#task;
    if (storesDir !== undefined) writeUnread({ storesDir, generator }, { user, device, store });
  }

  #own(): number[] {
    return [...this.#population.users.keys()].filter((user) => this.#owns(user));
  }

  #owns(user: number): boolean {
    return user % this.#task.generators === this.#task.index;
  }

  #countOnline(users: readonly number[]): number {
    const { users: all } = this.#population;
    return users.reduce(
      (sum, user) => sum + (user < this.#task.profile.online ? all[user]!.devices.length : 0),
      0,
    );
  }

  #makeDevice(user: number, name: string, device: string): LoadDevice {
    const { endpoints, storesDir, profile } = this.#task;
    const path = storesDir === undefined ? undefined : deviceFile(storesDir, name, device);
    // Everybody's first choice is another campus, so that all campuses carry their share.
    const first = profile.oneCampus
      ? 0
      : Math.floor(user / this.#task.generators) % endpoints.length;
    const ordered = [...endpoints.slice(first), ...endpoints.slice(0, first)];
    const usable = profile.oneCampus ? ordered.slice(0, 1) : ordered;
    const isOnline = user < profile.online;
    const arrived = (message: StoredMessage) => {
      if (message.notice === undefined && isOnline) this.#arrived(user, message);
    };
    const settledLate = (send: SendRecord) => this.#settledLate(send);
    return new LoadDevice({
      ...{ user: name, device, path, endpoints: usable },
      ...{ arrived, settledLate },
    });
  }

  #arrived(user: number, { senderId, text }: StoredMessage): void {
    this.tally.arrived += 1;
    if (senderId !== this.#userIds[user]) this.tally.deliveries.add(preciseNow() - dueOf(text));
  }
}

/** Milliseconds since 1970, with fractions. */
function preciseNow(): number {
  return performance.timeOrigin + performance.now();
}
