/**
 * What access knows of one device's inbox, and from it whether a push can carry rows. Pure: time is
 * an argument, what is to be sent comes back as a list.
 *
 * A push carries rows only when they directly follow the version the device has; otherwise it is a
 * hint, and the device syncs. Two things keep hints rare under load:
 *  - writers of different conversations push concurrently, so a push may overtake the one before it.
 *    What does not follow is held for PUSH_HOLD_MS, and sent in order when the gap closes. A push
 *    without rows leaves a gap that no other push closes: a hint follows after HINT_HOLD_MS.
 *  - one hint is enough until the device syncs, and none is needed while a sync is under way: its
 *    answer moves the version, and what was held may follow it.
 */
import { HINT_HOLD_MS, PUSH_HOLD_MS, PUSHES_HELD_MAX } from "./limits.ts";

export interface Offer<R> {
  /** The inbox's version with the rows, and the one they directly follow; 0: unknown. */
  readonly version: number;
  readonly follows: number;
  /** Undefined when the push carries none. */
  readonly rows: R | undefined;
}

export type PushAction<R> =
  | { readonly kind: "rows"; readonly version: number; readonly follows: number; readonly rows: R }
  | { readonly kind: "hint"; readonly version: number };

export class DeviceView<R> {
  /** The version the device has when it has read everything sent to it. */
  #version: number;
  /** The newest version heard of. */
  #newest = 0;
  /** The newest that came without rows: pushes cannot bring it. */
  #newestWithoutRows = 0;
  #held: Offer<R>[] = [];
  /** Since when the device lacks something that nothing under way will bring. */
  #lackingSinceMs: number | undefined;
  #hinted = false;
  #syncs = 0;

  constructor(version: number) {
    this.#version = version;
  }

  /** Whether `due` has something to look at later. */
  get isWaiting(): boolean {
    return this.#lackingSinceMs !== undefined && !this.#hinted && this.#syncs === 0;
  }

  offer(offer: Offer<R>, nowMs: number): PushAction<R>[] {
    if (offer.version <= this.#version) return [];
    this.#newest = Math.max(this.#newest, offer.version);
    if (offer.rows !== undefined && offer.follows > 0) {
      this.#held.push(offer);
      if (this.#held.length > PUSHES_HELD_MAX) this.#held.shift();
    } else {
      this.#newestWithoutRows = Math.max(this.#newestWithoutRows, offer.version);
    }
    return this.#advance(nowMs, false);
  }

  /** The hint, when what lies between did not come in time. */
  due(nowMs: number): PushAction<R>[] {
    if (!this.isWaiting || nowMs - this.#lackingSinceMs! < this.#holdMs) return [];
    return this.hint();
  }

  get #holdMs(): number {
    return this.#newestWithoutRows > this.#version ? HINT_HOLD_MS : PUSH_HOLD_MS;
  }

  /** A hint now, unless one is outstanding. */
  hint(): PushAction<R>[] {
    if (this.#hinted) return [];
    this.#hinted = true;
    return [{ kind: "hint", version: Math.max(this.#newest, this.#version) }];
  }

  /** The newest hint may not have been sent. */
  hintLost(): void {
    this.#hinted = false;
  }

  syncStarted(): void {
    this.#hinted = false;
    this.#syncs += 1;
  }

  /** `version`: what the device has with the answer; undefined when the sync failed. */
  syncEnded(version: number | undefined, nowMs: number): PushAction<R>[] {
    this.#syncs -= 1;
    if (version !== undefined) this.#version = Math.max(this.#version, version);
    return this.#advance(nowMs, true);
  }

  /** Sends what follows, as far as it goes. */
  #advance(nowMs: number, restart: boolean): PushAction<R>[] {
    const actions: PushAction<R>[] = [];
    for (let next = this.#following(); next !== undefined; next = this.#following()) {
      const { version, follows, rows } = next;
      actions.push({ kind: "rows", version, follows, rows: rows! });
      this.#version = version;
    }
    if (this.#held.length > 0)
      this.#held = this.#held.filter((offer) => offer.version > this.#version);
    if (this.#newest <= this.#version) this.#lackingSinceMs = undefined;
    else if (restart || this.#lackingSinceMs === undefined || actions.length > 0)
      this.#lackingSinceMs = nowMs;
    return actions;
  }

  #following(): Offer<R> | undefined {
    return this.#held.find((offer) => offer.follows === this.#version);
  }
}
