/**
 * What devices echoed (M5): a snapshot that comes back says what the device has, which lets trimming
 * forget; one that has nothing yet keeps everything. Remembered here and handed to account data in
 * batches, now and then: a confirmation that is lost comes again with the device's next sync.
 */
import {
  AccountData,
  type DeviceConfirmation,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { type CallOptions, monotonicMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Logger } from "../../svrkit/log.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";

const BATCH_MAX = 500;
const TIMEOUT_MS = 1_000;
/** Disks that take no writes are asked for so long, while the device waits for its messages. */
const BEGIN_TIMEOUT_MS = 1_000;

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
  /** First confirmations that disks refused: they are not forgotten. */
  readonly #owed = new Map<string, DeviceConfirmation>();
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
   * confirmations may be lost, for they only let more be forgotten; this one may not. While disks take no
   * writes, or none in time, reads go on: it is owed then, and handed over with the next ones. Lost it is only
   * if this process ends before that, and then it matters only if others' rows are trimmed before the device
   * syncs again.
   */
  async begin(confirmation: DeviceConfirmation, options: CallOptions): Promise<void> {
    const name = nameOf(confirmation);
    // What the device had it has no more: what says so must not be written behind this.
    this.#waiting.delete(name);
    if (this.#leaving.has(name)) await this.#flushing;
    const patientMs = monotonicMs() + BEGIN_TIMEOUT_MS;
    const deadlineMs = Math.min(options.deadlineMs ?? patientMs, patientMs);
    try {
      await this.#hand([confirmation], { ...options, deadlineMs });
    } catch (error) {
      if (!isForLater(error) || this.#owed.size >= this.#options.sizeMax) throw error;
      this.#owed.set(name, confirmation);
      return;
    }
    this.#owed.delete(name);
    this.#confirmed.set(name, confirmation.messagesVersion);
  }

  note(confirmation: DeviceConfirmation): void {
    const name = nameOf(confirmation);
    if (this.#confirmed.get(name) === confirmation.messagesVersion) return;
    if (this.#owed.has(name)) {
      this.#owed.set(name, confirmation);
      return;
    }
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
    if (this.#owed.size > 0) await this.#flushOwed();
    await this.#flushWaiting();
  }

  async #flushOwed(): Promise<void> {
    const owed = [...this.#owed];
    for (let at = 0; at < owed.length; at += BATCH_MAX) {
      const batch = owed.slice(at, at + BATCH_MAX);
      this.#leaving.clear();
      for (const [name] of batch) this.#leaving.add(name);
      try {
        await this.#hand(
          batch.map(([, confirmation]) => confirmation),
          { timeoutMs: TIMEOUT_MS },
        );
      } catch (error) {
        this.#log.debug(
          { err: error, devices: owed.length - at },
          "devices are still not confirmed",
        );
        return;
      }
      for (const [name, one] of batch) if (this.#owed.get(name) === one) this.#owed.delete(name);
    }
  }

  async #hand(confirmations: DeviceConfirmation[], options: CallOptions): Promise<void> {
    await this.#accounts.call(AccountData.confirmDevices, { confirmations }, options);
  }

  async #flushWaiting(): Promise<void> {
    for (let left = this.#waiting.size; left > 0 && this.#waiting.size > 0; left -= BATCH_MAX) {
      const batch = this.#takeBatch();
      const confirmations = batch.map(([, confirmation]) => confirmation);
      try {
        await this.#hand(confirmations, { timeoutMs: TIMEOUT_MS });
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

/** Disks take no writes; or the time was over before that could be said. */
function isForLater(error: unknown): boolean {
  const { code } = RpcError.from(error);
  return code === "STORAGE_REFUSED" || code === "DEADLINE_EXCEEDED";
}

function nameOf({ userId, device }: DeviceConfirmation): string {
  return `${userId} ${device}`;
}
