/** The one who moves slots between KV groups while everything goes wrong, and cancels some moves. */
import { Keyspace } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  type SlotsClient,
  type Span,
  type Transfer,
  transfersTo,
} from "../services/control/slots-client.ts";
import type { Random } from "../services/svrkit/seeded-random.ts";
import type { Clock, Process } from "./clock.ts";
import { sleep } from "./workload/clients.ts";

/** Of the keyspace in which clients write. */
const SPANS: readonly Span[] = [
  { keyspace: Keyspace.ACCOUNT, first: 0, last: 4095 },
  { keyspace: Keyspace.ACCOUNT, first: 0, last: 2047 },
  { keyspace: Keyspace.ACCOUNT, first: 1024, last: 3071 },
];
const GROUPS = [1, 2];
const CANCELLED = 0.2;
const POLL_MS = 100;
const ACT = { who: "nemesis", why: "simulation" };

export class SlotMoves {
  readonly #clock: Clock;
  readonly #process: Process;
  readonly #slots: SlotsClient;
  readonly #random: Random;
  /** No move is under way after the faults. */
  isSettled = false;

  constructor(parts: { clock: Clock; process: Process; slots: SlotsClient; random: Random }) {
    this.#clock = parts.clock;
    this.#process = parts.process;
    this.#slots = parts.slots;
    this.#random = parts.random;
  }

  /** Begins a move, or cancels the one under way; one that is refused or fails is no fault. */
  begin(count: (what: string) => void): void {
    const span = this.#random.pick(SPANS);
    const to = this.#random.pick(GROUPS);
    const isCancelled = this.#random.chance(CANCELLED);
    this.#clock.inside(this.#process, () => {
      const act = isCancelled ? this.#cancel() : this.#move(span, to);
      act.then(
        (what) => what !== undefined && count(what),
        () => {},
      );
    });
  }

  async #move(span: Span, to: number): Promise<string | undefined> {
    const transfers = transfersTo(await this.#slots.read(), span, to);
    if (transfers.length === 0) return undefined;
    await this.#slots.move(transfers.map(wantedOf), "move", ACT);
    return `${span.first}-${span.last} to group ${to}`;
  }

  async #cancel(): Promise<string> {
    await this.#slots.cancel(ACT);
    return "cancelled";
  }

  /** Asks until no move is under way. */
  settle(): void {
    this.#clock.inside(this.#process, () => void this.#settle());
  }

  async #settle(): Promise<void> {
    while (!this.isSettled) {
      const known = await this.#slots.shards().catch(() => undefined);
      this.isSettled = known?.move === 0;
      if (!this.isSettled) await sleep(POLL_MS);
    }
  }
}

function wantedOf({ keyspace, first, last, from, to }: Transfer) {
  return { ranges: [{ keyspace, first, last, group: 0 }], from, to };
}
