/**
 * Keys of which the register in the state engine is damaged: what this replica has voted on such a key is
 * forgotten, as if its disk were lost for that key alone (S3). Nothing of it is served, voted on or taken in
 * from the log until it was copied from both others (renewal.ts).
 *
 *   read -> damaged -> copied, put in its place -> renewed
 *
 * Nothing of this is on the disk: until a checkpoint has overwritten the register, the next start finds the
 * same damage. A renewed key is not proposed for in this run: what this incarnation has proposed is forgotten
 * too, and it could use a ballot twice.
 */
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { DAMAGED_KEYS_MAX } from "../limits.ts";
import { RecordDamaged } from "./engine.ts";
import { keyOf, latin1 } from "./record.ts";

const damagedKeys = monitorId("kvsvr.damaged_keys");
const unnoted = monitorId("kvsvr.damaged_unnoted");

export class DamagedKeys {
  /** By name. One that finds no room is damaged all the same, whenever it is read. */
  readonly #damaged = new Map<string, Buffer>();
  readonly #renewed = new Set<string>();
  /** Called when there is another one. */
  onFound: (registerKey: Buffer) => void = () => {};
  #isFull = false;
  /** Called once, when the first one finds no room. */
  onFull: () => void = () => {};

  /** Runs a read of a register; damage that it meets is noted. */
  guard<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      if (error instanceof RecordDamaged) this.note(error.registerKey);
      throw error;
    }
  }

  note(registerKey: Buffer): void {
    const name = latin1(registerKey);
    if (this.#damaged.has(name)) return;
    if (this.#damaged.size + this.#renewed.size >= DAMAGED_KEYS_MAX) {
      monitor.add(unnoted, 1);
      if (!this.#isFull) this.onFull();
      this.#isFull = true;
      return;
    }
    this.#damaged.set(name, registerKey);
    this.#count();
    this.onFound(registerKey);
  }

  #count(): void {
    monitor.set(damagedKeys, this.#damaged.size);
  }

  get isEmpty(): boolean {
    return this.#damaged.size === 0;
  }

  get keys(): Key[] {
    return [...this.#damaged.values()].map(keyOf);
  }

  has(registerKey: Buffer): boolean {
    return !this.isEmpty && this.#damaged.has(latin1(registerKey));
  }

  renew(registerKey: Buffer): void {
    const name = latin1(registerKey);
    if (this.#damaged.delete(name)) this.#renewed.add(name);
    this.#count();
  }

  /** Was damaged and renewed in this run. */
  isRenewed(registerKey: Buffer): boolean {
    return this.#renewed.size > 0 && this.#renewed.has(latin1(registerKey));
  }

  /** They are no keys of this replica any more. */
  drop(isGone: (registerKey: Buffer) => boolean): void {
    for (const [name, own] of this.#damaged) if (isGone(own)) this.#damaged.delete(name);
    this.#count();
  }
}
