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
  readonly #accounts: Callee;
  readonly #log: Logger;
  readonly #options: ConfirmationOptions;
  readonly #waiting = new Map<string, DeviceConfirmation>();
  readonly #confirmed: RecentlyUsed<string, number>;
  readonly #timer: NodeJS.Timeout;
  #flushing: Promise<void> | undefined;

  constructor(accounts: Callee, log: Logger, options: ConfirmationOptions) {
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
    await this.#accounts.call(
      AccountData.confirmDevices,
      { confirmations: [confirmation] },
      options,
    );
  }

  note(confirmation: DeviceConfirmation): void {
    const name = `${confirmation.userId} ${confirmation.device}`;
    if (this.#confirmed.get(name) === confirmation.messagesVersion) return;
    if (this.#waiting.size >= this.#options.sizeMax && !this.#waiting.has(name)) return;
    this.#waiting.set(name, confirmation);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#flushing;
    await this.flush();
  }

  /** One at a time; a batch that fails is forgotten. */
  flush(): Promise<void> {
    this.#flushing ??= this.#flushAll().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  async #flushAll(): Promise<void> {
    const all = [...this.#waiting];
    this.#waiting.clear();
    for (let at = 0; at < all.length; at += BATCH_MAX) {
      const batch = all.slice(at, at + BATCH_MAX);
      const confirmations = batch.map(([, confirmation]) => confirmation);
      const options = { timeoutMs: TIMEOUT_MS };
      try {
        await this.#accounts.call(AccountData.confirmDevices, { confirmations }, options);
      } catch (error) {
        this.#log.debug({ err: error, devices: all.length - at }, "devices were not confirmed");
        return;
      }
      for (const [name, { messagesVersion }] of batch) this.#confirmed.set(name, messagesVersion);
    }
  }
}
