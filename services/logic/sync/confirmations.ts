/**
 * What devices echoed (M5): a snapshot that comes back says what the device has, which lets trimming
 * forget; one that has nothing yet keeps everything. Remembered here and handed to account data in
 * batches, now and then: a confirmation that is lost comes again with the device's next sync.
 */
import {
  AccountData,
  type DeviceConfirmation,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import type { Logger } from "../../svrkit/log.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";

const BATCH_MAX = 500;
const TIMEOUT_MS = 1_000;

export interface ConfirmationOptions {
  readonly everyMs: number;
  readonly sizeMax: number;
}

export class Confirmations {
  readonly #accounts: Pick<Callee, "call">;
  readonly #log: Logger;
  readonly #options: ConfirmationOptions;
  readonly #waiting = new Map<string, DeviceConfirmation>();
  readonly #confirmed: RecentlyUsed<string, number>;
  readonly #timer: NodeJS.Timeout;
  /** Devices of the batch that is on its way. */
  readonly #leaving = new Set<string>();
  #flushing: Promise<void> | undefined;

  constructor(accounts: Pick<Callee, "call">, log: Logger, options: ConfirmationOptions) {
    this.#accounts = accounts;
    this.#log = log;
    this.#options = options;
    this.#confirmed = new RecentlyUsed(options.sizeMax);
    this.#timer = setInterval(() => this.flush(), options.everyMs);
    this.#timer.unref();
  }

  /**
   * A device that has nothing counts from here on, durably: what comes for it is kept until it has it. Later
   * confirmations may be lost, for they only let more be forgotten; this one may not.
   */
  async begin(confirmation: DeviceConfirmation, options: CallOptions): Promise<void> {
    const name = nameOf(confirmation);
    // What the device had it has no more: what says so must not be written behind this.
    this.#waiting.delete(name);
    if (this.#leaving.has(name)) await this.#flushing;
    await this.#accounts.call(
      AccountData.confirmDevices,
      { confirmations: [confirmation] },
      options,
    );
    this.#confirmed.set(name, confirmation.messagesVersion);
  }

  note(confirmation: DeviceConfirmation): void {
    const name = nameOf(confirmation);
    if (this.#confirmed.get(name) === confirmation.messagesVersion) return;
    if (this.#waiting.size >= this.#options.sizeMax && !this.#waiting.has(name)) return;
    this.#waiting.set(name, confirmation);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#flushing;
    await this.flush();
  }

  /** One at a time; when a batch fails, all that are left are forgotten. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flushAll().finally(() => {
      this.#flushing = undefined;
      this.#leaving.clear();
    });
    return this.#flushing;
  }

  async #flushAll(): Promise<void> {
    for (let left = this.#waiting.size; left > 0 && this.#waiting.size > 0; left -= BATCH_MAX) {
      const batch = this.#takeBatch();
      const confirmations = batch.map(([, confirmation]) => confirmation);
      const options = { timeoutMs: TIMEOUT_MS };
      try {
        await this.#accounts.call(AccountData.confirmDevices, { confirmations }, options);
      } catch (error) {
        this.#log.debug({ err: error, devices: left }, "devices were not confirmed");
        this.#waiting.clear();
        return;
      }
      for (const [name, { messagesVersion }] of batch) this.#confirmed.set(name, messagesVersion);
    }
  }

  #takeBatch(): [string, DeviceConfirmation][] {
    const batch: [string, DeviceConfirmation][] = [];
    this.#leaving.clear();
    for (const one of this.#waiting) {
      if (batch.length === BATCH_MAX) break;
      batch.push(one);
    }
    for (const [name] of batch) {
      this.#waiting.delete(name);
      this.#leaving.add(name);
    }
    return batch;
  }
}

function nameOf({ userId, device }: DeviceConfirmation): string {
  return `${userId} ${device}`;
}
