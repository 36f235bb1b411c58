/** Two joined Wires in one process: what one writes the other reads, in order, one tick later. */
import { monotonicMs } from "../call.ts";
import type { Wire, WireEvents } from "./wire.ts";

class MemoryWire implements Wire {
  readonly remote: string;
  readonly proved = undefined;
  #events: WireEvents | undefined;
  #peer: MemoryWire | undefined;
  #closed = false;
  #inFlight = 0;

  constructor(remote: string) {
    this.remote = remote;
  }

  join(peer: MemoryWire): void {
    this.#peer = peer;
  }

  bufferedBytes(): number {
    return this.#inFlight;
  }

  write(chunk: Buffer): void {
    const peer = this.#peer;
    if (this.#closed || peer === undefined) return;
    const copy = Buffer.from(chunk);
    this.#inFlight += copy.length;
    setImmediate(() => {
      this.#inFlight -= copy.length;
      if (!peer.#closed) peer.#events?.data(copy, monotonicMs());
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    setImmediate(() => {
      this.#events?.closed("closed here");
      this.#peer?.closedByPeer();
    });
  }

  closedByPeer(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events?.closed("closed by the other side");
  }

  bind(events: WireEvents): void {
    this.#events = events;
  }

  markInside(): void {}
}

export function memoryWirePair(): [Wire, Wire] {
  const a = new MemoryWire("memory:b");
  const b = new MemoryWire("memory:a");
  a.join(b);
  b.join(a);
  return [a, b];
}
