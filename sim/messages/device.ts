/**
 * One device of one user: the real client and the real store of lines, on a simulated disk. A crash at
 * any moment loses what was not written yet, in the middle of whatever the client does; the next life
 * goes on from what was.
 */
import { TricampusClient } from "../../sdk/client.ts";
import { type DeviceLine, parseLine } from "../../sdk/device-lines.ts";
import { FIRST_LINE, LineStore } from "../../sdk/line-store.ts";
import type { Recipient, StoredMessage } from "../../sdk/store.ts";
import type { Random } from "../../services/svrkit/seeded-random.ts";
import type { Process } from "../clock.ts";
import type { Campuses } from "./campuses.ts";
import { transportFrom } from "./door.ts";

const WRITE_MS = [1, 600] as const;
const SEND_TIMEOUT_MS = 4_000;
const FALLBACK_SYNC_MS = 1_500;

class SimulatedStore extends LineStore {
  readonly #disk: string[];
  readonly #random: Random;
  #pending: string[] = [];
  #isWriting = false;
  /** The device has crashed: nothing is written any more. */
  isDead = false;

  constructor(disk: string[], random: Random) {
    super();
    this.#disk = disk;
    this.#random = random;
    for (const line of linesOf(disk)) this.restore(line);
    if (disk.length === 0) this.append(FIRST_LINE);
  }

  protected override append(line: string): void {
    if (this.isDead) return;
    this.#pending.push(line);
    if (this.#isWriting) return;
    this.#isWriting = true;
    setTimeout(() => this.#write(), this.#random.between(...WRITE_MS));
  }

  #write(): void {
    this.#isWriting = false;
    if (!this.isDead) this.#disk.push(...this.#pending.splice(0));
  }

  protected override async read(): Promise<DeviceLine[]> {
    return linesOf([...this.#disk, ...this.#pending]);
  }

  override async flush(): Promise<void> {
    this.#write();
  }

  override close(): Promise<void> {
    return this.flush();
  }

  /** What the device has, as it came. */
  rows(): StoredMessage[] {
    return messagesIn(linesOf([...this.#disk, ...this.#pending]));
  }
}

function messagesIn(lines: readonly DeviceLine[]): StoredMessage[] {
  return lines.flatMap((line) => (line.kind === "message" ? [line.message] : []));
}

function linesOf(texts: readonly string[]): DeviceLine[] {
  return texts.flatMap((text) => parseLine(text, "the simulated disk") ?? []);
}

export interface DeviceParts {
  readonly campuses: Campuses;
  readonly userId: string;
  readonly name: string;
  readonly node: number;
  readonly random: Random;
}

export class Device {
  readonly userId: string;
  readonly name: string;
  readonly node: number;
  readonly #parts: DeviceParts;
  readonly #process: Process;
  readonly #disk: string[] = [];
  /** What the application was told of, by conversation and sequence, as far as this life can know. */
  #told = new Set<string>();
  /** Messages that it was told of twice. */
  readonly toldTwice: string[] = [];
  #store: SimulatedStore | undefined;
  #client: TricampusClient | undefined;

  constructor(parts: DeviceParts) {
    this.#parts = parts;
    this.userId = parts.userId;
    this.name = parts.name;
    this.node = parts.node;
    this.#process = parts.campuses.clock.outside;
  }

  get isOn(): boolean {
    return this.#client !== undefined;
  }

  get client(): TricampusClient {
    return this.#client!;
  }

  turnOn(): void {
    if (this.isOn) return;
    const { campuses, userId, name, node, random } = this.#parts;
    const first = random.index(campuses.endpoints.length);
    const { endpoints } = campuses;
    this.#store = new SimulatedStore(this.#disk, random);
    this.#told = new Set(this.#store.rows().map(placeOf));
    this.#client = new TricampusClient({
      endpoints: endpoints.map((_, i) => endpoints[(first + i) % endpoints.length]!),
      ...{ device: name, store: this.#store, sendTimeoutMs: SEND_TIMEOUT_MS },
      transport: transportFrom({ node, process: this.#process }, campuses.network),
      fallbackSyncMs: FALLBACK_SYNC_MS,
      onMessage: (message) => this.#heard(message),
    });
    this.#client.useLogin({ userId, ...campuses.ticket(userId, name) });
    this.#client.connect(60_000).catch(() => {}); // it is turned off, or comes back by itself
  }

  /** `how`: with what waits to be written, or without. */
  turnOff(how: "in order" | "crash"): void {
    const [client, store] = [this.#client, this.#store];
    if (client === undefined || store === undefined) return;
    this.#client = undefined;
    this.#store = undefined;
    if (how === "in order") void store.flush();
    store.isDead = true;
    void client.close();
  }

  #heard(message: StoredMessage): void {
    if (!this.isOn) return;
    const place = placeOf(message);
    if (this.#told.has(place)) this.toldTwice.push(place);
    this.#told.add(place);
  }

  send(to: Recipient, text: string, clientMessageId: string) {
    return this.client.send(to, text, clientMessageId);
  }

  /** Everything the device has, or would have when it were on: each row once, as it was kept. */
  rows(): StoredMessage[] {
    return this.#store?.rows() ?? messagesIn(linesOf(this.#disk));
  }

  /** How the device shows a message now. */
  shown(conversationId: string, sequence: number): "whole" | "recalled" | "hidden" {
    return this.client.store.book.shown(conversationId, sequence);
  }

  get doubles(): number {
    return this.client.store.counts.doubles;
  }
}

function placeOf({ conversationId, sequence }: StoredMessage): string {
  return `${conversationId}#${sequence}`;
}
