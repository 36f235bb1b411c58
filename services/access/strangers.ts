/**
 * Connections that have not said yet whose they are. Anybody can open them, by the thousand a second and, as
 * long polls, without as much as a socket; so they have a share of the room alone, and each address a share of that.
 * When that is full whoever came first makes room, if it had its time: an honest client needs a round trip or a
 * log-in, and a flood that leaves less than that would be one of the whole process. Who comes when nobody had
 * its time yet is sent away. Pure.
 */
interface Stranger {
  /** Monotonic ms. */
  readonly openedAtMs: number;
}

export interface StrangersLimits {
  readonly max: number;
  readonly addressMax: number;
  /** Time that a stranger has in any case. */
  readonly graceMs: number;
}

export class Strangers<T extends Stranger> {
  readonly #limits: StrangersLimits;
  /** With their addresses, the oldest first; and by address, likewise. */
  readonly #all = new Map<T, string>();
  readonly #byAddress = new Map<string, Set<T>>();

  constructor(limits: StrangersLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#all.size;
  }

  /** Whether one more may come; `room`: for all of them together. */
  takes(from: string, room: number, nowMs: number): boolean {
    if (room <= 0) return false;
    const crowd = this.#crowd(from, room);
    const first = crowd && firstOf(crowd);
    return first === undefined || nowMs - first.openedAtMs >= this.#limits.graceMs;
  }

  /** Returns who has to make room for it; undefined: nobody. */
  add(one: T, from: string, room: number): T | undefined {
    const crowd = this.#crowd(from, room);
    const leaving = crowd && firstOf(crowd);
    if (leaving !== undefined) this.delete(leaving);
    this.#all.set(one, from);
    const ofAddress = this.#byAddress.get(from);
    if (ofAddress === undefined) this.#byAddress.set(from, new Set([one]));
    else ofAddress.add(one);
    return leaving;
  }

  /** It has said whose it is, or has gone. */
  delete(one: T): void {
    const from = this.#all.get(one);
    if (from === undefined) return;
    this.#all.delete(one);
    const ofAddress = this.#byAddress.get(from)!;
    ofAddress.delete(one);
    if (ofAddress.size === 0) this.#byAddress.delete(from);
  }

  /** Those of whom one has to make room for one more; undefined: there is room. */
  #crowd(from: string, room: number): Iterable<T> | undefined {
    const ofAddress = this.#byAddress.get(from);
    if (ofAddress !== undefined && ofAddress.size >= this.#limits.addressMax) return ofAddress;
    return this.#all.size >= Math.min(this.#limits.max, room) ? this.#all.keys() : undefined;
  }
}

function firstOf<T>(all: Iterable<T>): T | undefined {
  for (const one of all) return one;
  return undefined;
}
