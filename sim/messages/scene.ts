/**
 * A schedule: one conversation, of two users or of a group of three, of whom one has three devices. Each
 * device acts by itself: sends, takes back, crashes, is away, comes back; one of the three comes only
 * later. What senders heard is noted for the ledger.
 */
import { conversationOf } from "../../services/data/message/client.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import type { Random } from "../../services/svrkit/seeded-random.ts";
import { sleep } from "../workload/clients.ts";
import type { Campuses } from "./campuses.ts";
import { Device } from "./device.ts";
import type { DeviceFact, RecallFact, RowFact, Schedule, SentFact } from "./ledger.ts";

interface SceneOptions {
  /** Sends of one device, at most. */
  readonly sends: number;
  /** Pause between two acts of a device, ms. */
  readonly thinkMs: readonly [number, number];
  readonly untilMs: number;
}

export interface SceneParts {
  readonly campuses: Campuses;
  readonly random: Random;
  readonly number: number;
  readonly firstNode: number;
  readonly options: SceneOptions;
}

const DEVICES_OF_ANN = ["phone", "desk", "late"];
const LATE_SHARE = [0.3, 0.8] as const;
const LIVENESS_MS = 8_000;

interface Mutable<T> {
  fact: T;
}

export class Scene {
  readonly users: readonly string[];
  readonly devices: readonly Device[];
  readonly #parts: SceneParts;
  readonly #isGroup: boolean;
  #conversationId: string;
  readonly #sends: Mutable<SentFact>[] = [];
  readonly #recalls: Mutable<RecallFact>[] = [];
  /** By device: above this it must have everything. */
  readonly #since = new Map<Device, number>();
  #nextSend = 1;
  /** Acts that are not over. */
  #underWay = 0;
  finished = 0;

  constructor(parts: SceneParts) {
    this.#parts = parts;
    const { number, campuses, firstNode, random } = parts;
    this.#isGroup = number % 2 === 1;
    const names = this.#isGroup ? ["ann", "bob", "cid"] : ["ann", "bob"];
    this.users = names.map((_, i) => `07au1-${(number * 3 + i + 1).toString(36)}`);
    const [ann, bob] = this.users;
    this.#conversationId = this.#isGroup ? "" : conversationOf(ann!, bob!);
    const places = this.users.flatMap((userId, i) =>
      (i === 0 ? DEVICES_OF_ANN : ["phone"]).map((name) => ({ userId, name })),
    );
    this.devices = places.map(
      (place, i) => new Device({ ...place, campuses, random, node: firstNode + i }),
    );
  }

  /** Empty as long as the group is not made. */
  get conversationId(): string {
    return this.#conversationId;
  }

  start(): void {
    for (const device of this.devices) void this.#live(device);
  }

  async #live(device: Device): Promise<void> {
    const { random, options, campuses } = this.#parts;
    const { untilMs, thinkMs } = options;
    if (device.name === "late") await sleep(untilMs * random.between(...LATE_SHARE));
    device.turnOn();
    if (device.name === "late") await this.#catchUp(device);
    if (this.#isGroup && device === this.devices[0]) await this.#makeGroup(device);
    for (let left = options.sends; campuses.clock.nowMs < untilMs; ) {
      await sleep(random.between(...thinkMs));
      if (this.#conversationId === "") continue;
      const roll = random.next();
      if (!device.isOn) device.turnOn();
      else if (roll < 0.12) device.turnOff("crash");
      else if (roll < 0.18) device.turnOff("in order");
      else if (roll < 0.3) this.#track(this.#recall(device));
      else if (left > 0) {
        left -= 1;
        const sending = this.#send(device);
        if (random.chance(0.6)) await sending;
        else this.#track(sending);
      }
    }
    this.finished += 1;
  }

  #track(act: Promise<void>): void {
    this.#underWay += 1;
    void act.finally(() => {
      this.#underWay -= 1;
    });
  }

  async #catchUp(device: Device): Promise<void> {
    for (;;) {
      try {
        await device.client.sync();
        break;
      } catch {
        await sleep(50);
      }
    }
    // What all others had, and had said so, may have been forgotten before this one came.
    const known = this.devices.flatMap((one) => one.rows().map(({ sequence }) => sequence));
    this.#since.set(device, Math.max(0, ...known));
  }

  async #makeGroup(device: Device): Promise<void> {
    for (;;) {
      try {
        const others = this.users.slice(1);
        this.#conversationId = await device.client.groups.create("Harbour", others, "the-group");
        return;
      } catch {
        await sleep(50);
      }
    }
  }

  async #send(device: Device): Promise<void> {
    const { clock } = this.#parts.campuses;
    const clientMessageId = `m${this.#nextSend++}`;
    const text = `text of ${clientMessageId}`;
    const { userId } = device;
    const fact = { userId, clientMessageId, text, startMs: clock.nowMs, ackedMs: undefined };
    const sent: Mutable<SentFact> = { fact };
    this.#sends.push(sent);
    const other = this.users.find((user) => user !== userId)!;
    const to = this.#isGroup ? { groupId: this.#conversationId } : { userId: other };
    try {
      await device.send(to, text, clientMessageId);
      sent.fact = { ...fact, ackedMs: clock.nowMs };
    } catch {
      // It may have been taken, and it may still be.
    }
  }

  /** One of the user's own messages, as this device shows it. */
  async #recall(device: Device): Promise<void> {
    const { random, campuses } = this.#parts;
    const own = device
      .rows()
      .filter((row) => row.senderId === device.userId && !isOfSystem(row))
      .filter((row) => device.shown(row.conversationId, row.sequence) === "whole");
    if (own.length === 0) return;
    const row = random.pick(own);
    const recall: Mutable<RecallFact> = { fact: { sequence: row.sequence, ackedMs: undefined } };
    this.#recalls.push(recall);
    try {
      await device.client.recall(row, `r${this.#nextSend++}`);
      recall.fact = { sequence: row.sequence, ackedMs: campuses.clock.nowMs };
    } catch (error) {
      if (RpcError.from(error).code === "INTERNAL") throw error;
    }
  }

  /** Everybody comes back, and gets everything; false: not in time. */
  async settle(): Promise<boolean> {
    const { clock } = this.#parts.campuses;
    const endMs = clock.nowMs + LIVENESS_MS;
    for (const device of this.devices) device.turnOn();
    // What nobody had answered is sent again until somebody does.
    while (this.devices.some(({ client }) => client.store.openSends().length > 0)) {
      if (clock.nowMs > endMs) return false;
      await sleep(50);
    }
    // Twice: between, what was accepted late reaches its inboxes.
    for (let round = 0; round < 2; round++) {
      for (const device of this.devices) if (!(await syncBefore(device, endMs))) return false;
      await sleep(LIVENESS_MS / 4);
    }
    return this.finished === this.devices.length && this.#underWay === 0;
  }

  schedule(): Schedule {
    return {
      conversationId: this.#conversationId,
      sends: this.#sends.map(({ fact }) => fact),
      recalls: this.#recalls.map(({ fact }) => fact),
      devices: this.devices.map((device): DeviceFact => {
        const { userId, name, doubles, toldTwice } = device;
        const since = name === "late" ? (this.#since.get(device) ?? Number.MAX_VALUE) : 0;
        const rows = this.#rowsOf(device);
        return { name: `${userId} ${name}`, since, rows, doubles, toldTwice };
      }),
    };
  }

  #rowsOf(device: Device): RowFact[] {
    return device.rows().map((row) => {
      const { sequence, messageId, senderId, clientMessageId, text } = row;
      const shown = device.shown(row.conversationId, sequence);
      const facts = { sequence, messageId, senderId, clientMessageId, text, shown };
      return { ...facts, isOfSystem: isOfSystem(row) };
    });
  }
}

function isOfSystem(row: ReturnType<Device["rows"]>[number]): boolean {
  return row.notice !== undefined || row.content?.body?.case === "recall";
}

async function syncBefore(device: Device, endMs: number): Promise<boolean> {
  while (performance.now() < endMs) {
    try {
      await device.client.sync();
      return true;
    } catch {
      await sleep(100);
    }
  }
  return false;
}
