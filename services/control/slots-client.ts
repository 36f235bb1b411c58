/**
 * The map of slots and the moves, in the control table: read and changed by compare-and-set, straight
 * through the first KV group's replicas.
 */
import type { SlotMove, Slots } from "../../protos/gen/tricampus/control/v1/slots_codec.ts";
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../kvsvr/client.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { Shard } from "../svrkit/failover/shards.ts";
import { nameOfSpan, shardsOf } from "./plan/slot-map.ts";
import {
  planCancel,
  planMoves,
  planReport,
  type Report,
  type SlotDecision,
  type WantedMove,
} from "./plan/slot-moves.ts";
import { type ControlState, noteRequest, slotsRequest, stateOf, stateRequest } from "./rows.ts";

/** Six replicas report, each a few times a move, and people change the table now and then. */
const ATTEMPTS_MAX = 20;
const READ_TIMEOUT_MS = 2_000;

/** Who does it, and why. */
export interface Act {
  readonly who: string;
  readonly why: string;
}

export { inMoves, MOVES_MAX, planRebalance, type Transfer, transfersTo } from "./plan/rebalance.ts";
export { nameOfSpan, rangesOf, type Span, shardsOf } from "./plan/slot-map.ts";
export { owns, type WantedMove } from "./plan/slot-moves.ts";

const NO_BLOCK = { block: undefined, unblocked: false, forced: undefined };

export class SlotsClient {
  readonly #kv: KvClient;

  /** `kvsvr`: the first group's three replicas in the order of their numbers. */
  constructor(kvsvr: Callee) {
    this.#kv = new KvClient(kvsvr);
  }

  async read(): Promise<Slots> {
    return (await this.#read()).slots;
  }

  /** What other groups than the first serve, and the number of the move under way (0: none). */
  async shards(): Promise<{ shards: Shard[]; move: number }> {
    const slots = await this.read();
    return { shards: shardsOf(slots), move: slots.move?.number ?? 0 };
  }

  /** A replica tells how far its part of a move is; the next phase begins when it is due. */
  async report(
    { number, replica }: { number: number; replica: number },
    report: Report,
  ): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const state = await this.#read();
      const next = planReport(state.slots, { number, replica }, report);
      if (next === undefined || (await this.#replace(state, next))) return;
    }
    throw contended();
  }

  /** Begins moves, one after the other; fails with FAILED_PRECONDITION when that may not be now. */
  move(wanted: readonly WantedMove[], did: "move" | "rebalance", act: Act): Promise<Slots> {
    const what = wanted.map(nameOfMove).join("; ");
    return this.#act({ did, what, ...act }, (slots) =>
      planMoves(slots, wanted, { ...act, begunAtMs: Date.now() }),
    );
  }

  /** Cancels the move under way, or those that wait for it. */
  cancel(act: Act): Promise<Slots> {
    return this.#act({ did: "cancel", what: "the moves under way", ...act }, planCancel);
  }

  /** Notes in the audit log what was done to a KV group. */
  async note(did: "group-add" | "group-remove", what: string, { who, why }: Act): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const state = await this.#read();
      const entry = { who, atMs: Date.now(), ...NO_BLOCK };
      const request = noteRequest(state, { ...entry, slots: { did, what, why } });
      if ((await this.#kv.change(request)).applied) return;
    }
    throw contended();
  }

  async #act(
    noted: { did: string; what: string } & Act,
    plan: (slots: Slots) => SlotDecision,
  ): Promise<Slots> {
    const { did, who, why } = noted;
    const what = noted.what.slice(0, AUDIT_TEXT_MAX);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const state = await this.#read();
      const planned = plan(state.slots);
      if (planned.verdict === "refused") throw new RpcError("FAILED_PRECONDITION", planned.reason);
      const entry = { who, atMs: Date.now(), ...NO_BLOCK };
      const audited = { ...entry, slots: { did, what, why } };
      const reply = await this.#kv.change(slotsRequest(state, planned.slots, audited));
      if (reply.applied) return planned.slots;
    }
    throw contended();
  }

  async #replace(state: ControlState, slots: Slots): Promise<boolean> {
    return (await this.#kv.change(slotsRequest(state, slots, undefined))).applied;
  }

  async #read(): Promise<ControlState> {
    const options = { timeoutMs: READ_TIMEOUT_MS };
    return stateOf(await this.#kv.getRows(stateRequest(Level.STRONG), options));
  }
}

/** An entry of the audit log is for people; the move itself is in the row. */
const AUDIT_TEXT_MAX = 2_000;

function nameOfMove({ ranges, to }: Pick<SlotMove, "ranges" | "to">): string {
  const names = ranges.map((range) => `${keyspaceName(range.keyspace)} ${nameOfSpan(range)}`);
  return `${names.join(", ")} to group ${to}`;
}

function keyspaceName(keyspace: number): string {
  const found = Object.entries(Keyspace).find(([, number]) => number === keyspace);
  return found?.[0].toLowerCase() ?? `keyspace-${keyspace}`;
}

function contended(): RpcError {
  return new RpcError("ABORTED", "others change the control table all the time; try again");
}
