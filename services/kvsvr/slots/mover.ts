/**
 * This replica's part in the moves of slots (S9). There is no mover: every replica of the two groups
 * reads the move's row and does what its phase asks of it; what it has done it reports there, and the
 * report that completes a phase begins the next (control/plan/slot-moves.ts). So everything goes on
 * after a kill -9 of anything.
 *
 * A target takes over the acceptor in its own campus: it has the source's replica sealed, copies what
 * is left, its votes with it, and from then on is that acceptor. When the source's replica is lost it
 * becomes a member as a rebuilt one does, from both other targets.
 */
import {
  MovePhase,
  type SlotMove,
  TargetStage,
} from "../../../protos/gen/tricampus/control/v1/slots_codec.ts";
import { Replica as ReplicaService } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { owns, SlotsClient } from "../../control/slots-client.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Shards } from "../../svrkit/failover/shards.ts";
import { rest } from "../../svrkit/rest.ts";
import { groupService } from "../client.ts";
import { PEER_TIMEOUT_MS } from "../limits.ts";
import { planted } from "../protocol/planted.ts";
import type { Replica } from "../replica.ts";
import { type FloorSpan, floorsWithin, highest } from "./plan/floors.ts";
import type { SlotSpan } from "./plan/held-slots.ts";
import { type CopySource, type Found, SlotCopy } from "./slot-copy.ts";

/** How often the row is read while there is one. */
const POLL_MS = 25;
const RETRY_MS = 100;
/** Between two passes of a target that waits for the others to be ready. */
const PASS_PAUSE_MS = 200;
/** A pass that brings so few keys leaves little for the moment in which nobody serves them. */
const FEW_KEYS = 100;
/** A target that is busier than that copies the rest while the slots are sealed. */
const PASSES_MAX = 50;
/** Without a pass for so long, a target counts as one that cannot be ready. */
const STUCK_AFTER_MS = 3_000;
/** Two that are ready wait so long for a third that cannot be reached, and for any third. */
const THIRD_GONE_MS = 10_000;
const THIRD_LATE_MS = 60_000;

/** How a replica finds the other groups, and hears that there is a move. */
export interface MoveEdges {
  readonly shards: Shards;
  /** A KV group's three replicas, by its service. */
  callee(service: string): Callee;
  /** Ends this process, to be started again in a new incarnation. */
  restart(): void;
}

export class Mover {
  readonly #replica: Replica;
  readonly #edges: MoveEdges;
  readonly #control: SlotsClient;
  readonly #copy: SlotCopy;
  readonly #callees = new Map<number, Callee>();
  #running: Promise<void> | undefined;
  #stopped = false;
  /** Of the move under way. */
  #passes = { number: 0, count: 0, lastMs: 0 };
  #readyButOneSinceMs: number | undefined;
  /** Taken over, and not compared with the other targets since. */
  #toCompare: { number: number; ranges: readonly SlotSpan[] } | undefined;

  constructor(replica: Replica, edges: MoveEdges) {
    this.#replica = replica;
    this.#edges = edges;
    this.#control = new SlotsClient(edges.callee(groupService(1)));
    this.#copy = new SlotCopy(replica);
  }

  start(): void {
    const { shards } = this.#edges;
    shards.movers.add(this.#begin);
    if (shards.move !== 0) this.#begin();
  }

  readonly #begin = (): void => {
    if (this.#running !== undefined || this.#stopped) return;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
    });
  };

  /** As long as there is a move; never rejects. */
  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        const { move } = await this.#control.read();
        await this.#compareAfter(move);
        if (move === undefined) return;
        const waitMs = await this.#step(move);
        if (waitMs > 0) await rest(waitMs);
      } catch (error) {
        if (!(error instanceof RpcError))
          this.#replica.log.error({ err: error }, "a step of a move failed; it is tried again");
        this.#replica.log.debug({ reason: RpcError.from(error).message }, "a move waits");
        await rest(RETRY_MS);
      }
    }
  }

  /** Does what the move's phase asks of this replica; tells how long to wait before the next look. */
  async #step(move: SlotMove): Promise<number> {
    const { group } = this.#replica.slots;
    if (this.#replica.barred !== undefined) return RETRY_MS;
    if (move.from === group) return this.#stepSource(move);
    if (move.to === group) return this.#stepTarget(move);
    return RETRY_MS;
  }

  async #stepSource(move: SlotMove): Promise<number> {
    const { phase, number, to, ranges } = move;
    const { slots } = this.#replica;
    // One that its target has not sealed can decide nothing any more: clients need not wait here.
    if (phase === MovePhase.SWAPPED) {
      if (slots.all(ranges, ({ state }) => state === "owned"))
        await this.#replica.seal({ move: number, to, ranges: [...ranges], takesFloors: true });
    }
    if (phase === MovePhase.CLEAN) await this.#clean(move, to);
    return POLL_MS;
  }

  async #stepTarget(move: SlotMove): Promise<number> {
    switch (move.phase) {
      case MovePhase.COPY:
        return this.#copyAhead(move);
      case MovePhase.SEAL:
      case MovePhase.SWAPPED:
        return this.#takeOver(move);
      case MovePhase.CANCELLED:
        await this.#clean(move, move.from);
        return POLL_MS;
      default:
        return POLL_MS;
    }
  }

  /** What lies here of the slots is nobody's any more. */
  async #clean(move: SlotMove, to: number): Promise<void> {
    const { slots, self } = this.#replica;
    if (move.cleaned[self.replica] === true) return;
    const isLost = move.targets[self.replica] === TargetStage.JOINED;
    const lostIn = isLost && to === move.to ? { lostIn: self.incarnation } : {};
    slots.hold(move.ranges, { state: "gone", to, ...lostIn });
    for (const range of move.ranges) await this.#replica.state.removeSlice(range);
    await this.#control.report(this.#as(move), { report: "cleaned" });
  }

  async #copyAhead(move: SlotMove): Promise<number> {
    await this.#receive(move);
    const { number, ranges } = move;
    if (this.#passes.number !== number) this.#passes = { number, count: 0, lastMs: monotonicMs() };
    const passes = this.#passes;
    const stage = move.targets[this.#replica.self.replica];
    const isResting = stage === TargetStage.READY && monotonicMs() - passes.lastMs < PASS_PAUSE_MS;
    if (isResting && passes.count > 0) {
      await this.#lookAtThird(move);
      return POLL_MS;
    }
    try {
      const newer = await this.#copy.pass(this.#source(move), ranges, {
        votes: false,
        gently: true,
      });
      passes.count += 1;
      passes.lastMs = monotonicMs();
      const isReady = newer <= FEW_KEYS || passes.count >= PASSES_MAX;
      if (isReady) await this.#reportStage(move, TargetStage.READY);
      else if (stage === TargetStage.STUCK) await this.#reportStage(move, TargetStage.COPYING);
      await this.#lookAtThird(move);
      // The last one to be ready finds the next phase begun.
      return 0;
    } catch (error) {
      if (monotonicMs() - passes.lastMs > STUCK_AFTER_MS)
        await this.#reportStage(move, TargetStage.STUCK);
      throw error;
    }
  }

  /** From now on decided versions of these slots are taken in. What an earlier life left is not kept. */
  async #receive({ number, ranges }: SlotMove): Promise<void> {
    const { slots, state, self } = this.#replica;
    if (!slots.all(ranges, (holding) => holding.state === "gone")) return;
    const mayVote = slots.all(ranges, (holding) => {
      return holding.state === "gone" && holding.lostIn !== self.incarnation;
    });
    if (!mayVote) {
      this.#replica.log.warn(
        { move: number },
        "starts again, for a new incarnation, before it votes",
      );
      this.#edges.restart();
      throw new RpcError("UNAVAILABLE", "this replica starts again");
    }
    for (const range of ranges) await state.removeSlice(range);
    slots.hold(ranges, { state: "receiving", move: number, anew: false });
  }

  /** Two targets wait for a third that cannot be ready no longer than they must. */
  async #lookAtThird(move: SlotMove): Promise<void> {
    const { peers, self } = this.#replica;
    const third = move.targets.findIndex((stage) => stage !== TargetStage.READY);
    const ready = move.targets.filter((stage) => stage === TargetStage.READY).length;
    if (ready !== 2 || third === self.replica) {
      this.#readyButOneSinceMs = undefined;
      return;
    }
    this.#readyButOneSinceMs ??= monotonicMs();
    const isGone = !peers.usable(third) || move.targets[third] === TargetStage.STUCK;
    const waitedMs = isGone ? THIRD_GONE_MS : THIRD_LATE_MS;
    if (monotonicMs() - this.#readyButOneSinceMs < waitedMs) return;
    this.#replica.log.warn({ move: move.number, third }, "a move goes on with two of three");
    await this.#control.report(this.#as(move), { report: "goOnWithTwo" });
  }

  /** Becomes the acceptor of these slots in this campus, unless it is already. */
  async #takeOver(move: SlotMove): Promise<number> {
    const { slots, self } = this.#replica;
    const { ranges, number } = move;
    await this.#receive(move);
    if (!slots.all(ranges, ({ state }) => state === "owned")) {
      const found = (await this.#transplant(move)) ?? (await this.#joinTargets(move));
      if (found === undefined) return RETRY_MS;
      const floors = floorsWithin(highest(found.floors), ranges);
      if (floors.length > 0) {
        await this.#forgetOthers(floors, found.names);
        await this.#replica.state.commitSlots(ranges);
      }
      slots.hold(ranges, { state: "owned" }, planted("floor-not-moved") ? [] : floors);
      this.#toCompare = { number, ranges };
      this.#replica.log.info({ move: number }, "took over the slots of a move");
    }
    if (!owns(move.targets[self.replica])) await this.#reportStage(move, TargetStage.OWNED);
    return POLL_MS;
  }

  /** Removes what was copied ahead, and has been forgotten since. */
  async #forgetOthers(floors: readonly FloorSpan[], names: ReadonlySet<string>): Promise<void> {
    if (planted("copied-ahead-not-forgotten")) return;
    const { state } = this.#replica;
    for (const floor of floors) {
      const keys = state
        .namesWithin(floor)
        .filter((own) => !names.has(own.name) && own.version < floor.version);
      state.forget({ keys, floor });
    }
    if (state.isForgottenRemoved) return;
    await state.checkpoint();
    if (!state.isForgottenRemoved)
      throw new RpcError("UNAVAILABLE", "what was forgotten is still on the disk");
  }

  /** What the source has; undefined: its replica here cannot be taken over now, or not any more. */
  async #transplant(move: SlotMove): Promise<Found | undefined> {
    const { number, ranges, to } = move;
    const isFirstTime = this.#replica.slots.all(
      ranges,
      (holding) => holding.state === "receiving" && holding.move === number && !holding.anew,
    );
    if (!isFirstTime) return undefined;
    try {
      const source = this.#source(move);
      const request = { move: number, to, ranges: [...ranges], takesFloors: true };
      const { refused, floors } = await source.call(ReplicaService.seal, request);
      if (refused !== "") throw new RpcError("UNAVAILABLE", refused);
      const found = { names: new Set<string>(), floors };
      await this.#copy.pass(source, ranges, { votes: true, gently: false, found });
      return found;
    } catch (error) {
      const reason = RpcError.from(error).message;
      this.#replica.log.debug({ move: number, reason }, "the source cannot be taken over now");
      return undefined;
    }
  }

  /** As a rebuilt member does: everything of both others, once they own the slots. */
  async #joinTargets(move: SlotMove): Promise<Found | undefined> {
    const { number, ranges, phase, targets } = move;
    const { peers, epoch, slots, self } = this.#replica;
    const others = peers.others.map((peer) => targets[peer]);
    const isReceiving = slots.all(ranges, ({ state }) => state === "receiving");
    if (phase !== MovePhase.SWAPPED || !isReceiving) return undefined;
    if (!others.every(owns)) return undefined;
    if (targets[self.replica] !== TargetStage.JOINING) {
      // From here on the source's replica is not taken over, whenever it comes back.
      slots.hold(ranges, { state: "receiving", move: number, anew: true });
      await this.#reportStage(move, TargetStage.JOINING);
      return undefined;
    }
    const found: Found = { names: new Set(), floors: [] };
    for (const peer of peers.others) {
      const pass = { votes: true, gently: false, found };
      await this.#copy.pass(this.#peer(peer), ranges, pass);
    }
    if (this.#replica.epoch !== epoch) return undefined;
    this.#replica.log.info({ move: number }, "joined the two other targets of a move");
    return found;
  }

  /** What the other targets decided while this one was on its way: their pipelines began without it. */
  async #compareAfter(move: SlotMove | undefined): Promise<void> {
    const taken = this.#toCompare;
    if (taken === undefined) return;
    if (move?.number === taken.number && move.phase !== MovePhase.CLEAN) return;
    for (const peer of this.#replica.peers.others)
      await this.#copy.pass(this.#peer(peer), taken.ranges, { votes: false, gently: true });
    this.#toCompare = undefined;
  }

  /** The source group's replica in this campus. */
  #source({ from, number }: SlotMove): CopySource {
    let callee = this.#callees.get(from);
    if (callee === undefined) {
      callee = this.#edges.callee(groupService(from));
      this.#callees.set(from, callee);
    }
    const known = callee;
    const { replica } = this.#replica.self;
    return {
      epoch: 0,
      move: number,
      call: (method, request) =>
        known.callOne(replica, method, request, { timeoutMs: PEER_TIMEOUT_MS }),
    };
  }

  #peer(peer: number): CopySource {
    const { peers, epoch } = this.#replica;
    return { epoch, move: 0, call: (method, request) => peers.call(peer, method, request) };
  }

  async #reportStage(move: SlotMove, stage: TargetStage): Promise<void> {
    if (move.targets[this.#replica.self.replica] === stage) return;
    await this.#control.report(this.#as(move), { report: "stage", stage });
  }

  #as({ number }: SlotMove): { number: number; replica: number } {
    return { number, replica: this.#replica.self.replica };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#edges.shards.movers.delete(this.#begin);
    this.#copy.stopped = true;
    await this.#running;
  }
}
