/** Seeded randomness (sfc32), for simulations and loads that must be repeatable; each part draws from its own. */
import { murmur3 } from "./murmur3.ts";

export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  constructor(seed: number, part: string) {
    const name = Buffer.from(`${seed}/${part}`);
    this.#a = murmur3(name, 1) | 0;
    this.#b = murmur3(name, 2) | 0;
    this.#c = murmur3(name, 3) | 0;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** 0 <= x < 1 */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum;
    return (sum >>> 0) / 0x100000000;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** 0 <= i < count */
  index(count: number): number {
    return Math.floor(this.next() * count);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.index(values.length)]!;
  }

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) bytes[i] = this.index(256);
  }
}
