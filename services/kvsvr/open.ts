/** Puts a replica together from its disk; the edges (files, engine, wire) are arguments. */
import { join } from "node:path";
import { Replica as ReplicaService } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import type { Callee } from "../svrkit/client.ts";
import type { Logger } from "../svrkit/log.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import type { Server } from "../svrkit/server.ts";
import { KeptBatches } from "./batch.ts";
import { groupService, KvClient } from "./client.ts";
import { ClientReads } from "./client-reads.ts";
import type { Config } from "./config.ts";
import { Copy } from "./copy.ts";
import { forceIfPermitted } from "./force.ts";
import { Forgetting, forgottenOf } from "./forgetting.ts";
import { GroupEpoch } from "./group-epoch.ts";
import { Handlers } from "./handlers.ts";
import { Identity } from "./identity.ts";
import { InFlight } from "./in-flight.ts";
import { EXCLUDED, Membership } from "./membership.ts";
import { Mending } from "./mending.ts";
import { addMethods } from "./methods.ts";
import { Peers } from "./peers.ts";
import { Proposals } from "./proposals.ts";
import { REPLICAS } from "./protocol/ballot.ts";
import { Reads } from "./reads.ts";
import { endRebuild, Joining, stageOfRebuild } from "./rebuild.ts";
import { refuseEverything } from "./refusal.ts";
import { Renewal } from "./renewal.ts";
import { Repair } from "./repair.ts";
import { Replica } from "./replica.ts";
import { type MoveEdges, Mover } from "./slots/mover.ts";
import { SlotTable } from "./slots/slot-table.ts";
import type { StateEngine } from "./storage/engine.ts";
import { endingWhenBroken, type Files } from "./storage/files.ts";
import { openLmdb } from "./storage/lmdb.ts";
import { LogDamaged } from "./storage/log-segment.ts";
import { State } from "./storage/state.ts";

export interface ReplicaEdges {
  readonly dir: string;
  /** This replica's number, 0-2, and its campus's name. */
  readonly number: number;
  readonly campus: string;
  readonly config: Config;
  /** The group's replicas in the order of their numbers. */
  readonly callee: Callee;
  readonly server: Server;
  readonly log: Logger;
  readonly files: Files;
  readonly engine?: (path: string, incarnation: number, log: Logger) => StateEngine;
  /** How to find the other KV groups; undefined: there are none, and nothing is ever moved. */
  readonly groups?: Omit<MoveEdges, "restart">;
  readonly fatal: (error: Error) => void;
  /** Ends this process, to be started again: what is on the disk has become another thing. */
  readonly restart: () => void;
}

export interface OpenReplica {
  /** undefined when the replica lost its memory and refuses everything. */
  readonly replica: Replica | undefined;
  stop(): Promise<void>;
}

export async function openReplica(given: ReplicaEdges): Promise<OpenReplica> {
  const edges = { ...given, files: endingWhenBroken(given.files, given.fatal) };
  const stage = await stageOfRebuild(edges.dir, edges.files);
  if (stage?.stage === "joining") return joining(edges, stage.diskId);
  const identity = Identity.open(edges.dir, edges.files.texts, edges.config.group);
  if (identity === undefined) {
    return refusing(
      edges,
      "its disk is empty and nobody allowed it to begin anew: it has lost its memory",
    );
  }
  if (new GroupEpoch(edges.dir, edges.files.texts, edges.config.epoch).isExcluded)
    return refusing(edges, EXCLUDED);
  try {
    const slots = new SlotTable(edges.dir, edges.files.texts, edges.config.group);
    const state = await openState(edges, slots, identity.incarnation);
    return assemble(edges, identity, { state, slots, sources: stage?.sources });
  } catch (error) {
    if (!(error instanceof LogDamaged)) throw error;
    return refusing(edges, `${error.message}: it may have forgotten votes`);
  }
}

function openState(edges: ReplicaEdges, slots: SlotTable, incarnation: number): Promise<State> {
  const { dir, files, log, fatal } = edges;
  const { cacheBytes, checkpointBytes, checkpointMs, scrubEveryMs } = edges.config;
  const engine = (edges.engine ?? openLmdb)(join(dir, "state"), incarnation, log);
  const memory = { cacheBytes, checkpointBytes, checkpointMs, scrubEveryMs };
  const firstShare = (edges.number + 1) / REPLICAS;
  const floorOf = (registerKey: Buffer) => slots.floorOf(registerKey);
  const isHeld = (registerKey: Buffer) => slots.holds(registerKey);
  const { forgetting } = slots;
  const removing = forgetting?.stage === "removing" ? forgottenOf(forgetting) : undefined;
  const own = { engine, files, dir, ...memory, firstShare, log, fatal, floorOf, isHeld };
  return State.open(own, removing);
}

/** `sources`: whom a new member of the group, which has not copied everything yet, copies from. */
function assemble(
  edges: ReplicaEdges,
  identity: Identity,
  parts: { state: State; slots: SlotTable; sources: readonly number[] | undefined },
): OpenReplica {
  const { dir, files, log, fatal, config } = edges;
  const { state, slots, sources } = parts;
  const group = new GroupEpoch(dir, files.texts, config.epoch);
  const { diskId } = identity;
  if (sources === undefined)
    forceIfPermitted(dir, files.texts, { group, replica: edges.number, diskId });
  const peers = new Peers(edges.callee, edges.number, group);
  const self = { replica: edges.number, incarnation: identity.incarnation };
  const replica = new Replica({ self, group, state, peers, slots, log, fatal });
  const repair = new Repair(replica);
  const proposals = new Proposals(replica, repair);
  const reads = new Reads(replica, repair, proposals);
  const copy = sources && new Copy(replica, repair, sources);
  const onCopied = () => endRebuild(dir, files);
  const membership = new Membership({ replica, identity, group, repair, copy, onCopied });
  const inFlight = new InFlight(config.inFlightBytes);
  const batches = new KeptBatches(config.batchesBytes);
  const { server } = edges;
  const clientReads = new ClientReads(replica, reads);
  const work = { proposals, reads: clientReads, server, inFlight, batches };
  const handlers = new Handlers(replica, work);
  addMethods(edges.server, { handlers, reads: clientReads, replica, membership });
  const forgetting = forgettingOf(edges, replica, proposals);
  edges.server.add(ReplicaService.forget, (request) => forgetting.handle(request));
  const mover = moverOf(edges, replica);
  const renewal = new Renewal(replica);
  const mending = new Mending(replica);
  membership.start();
  renewal.start();
  mending.start();
  mover?.start();
  forgetting.start();
  monitor.set(monitorId("kvsvr.incarnation"), identity.incarnation);
  return {
    replica,
    async stop() {
      // Both may wait for all of the log.
      state.stopIntake();
      membership.stop();
      const forgettingStopped = forgetting.stop();
      const moverStopped = mover?.stop();
      const renewed = Promise.all([renewal.stop(), mending.stop()]);
      copy?.stop();
      repair.stop();
      proposals.stop();
      reads.stop();
      replica.stop();
      await moverStopped;
      await forgettingStopped;
      await renewed;
      await identity.stop();
      await state.close();
    },
  };
}

function moverOf({ groups, restart }: ReplicaEdges, replica: Replica): Mover | undefined {
  if (groups === undefined) return undefined;
  const { shards } = groups;
  return new Mover(replica, { shards, callee: (service) => groups.callee(service), restart });
}

function forgettingOf(
  { groups, callee, config }: ReplicaEdges,
  replica: Replica,
  proposals: Proposals,
): Forgetting {
  const control = new KvClient(groups?.callee(groupService(1)) ?? callee);
  const { forgetEveryMs: everyMs, forgetWindowMs: windowMs, forgetLeast: least } = config;
  const isMoving = () => groups !== undefined && groups.shards.move !== 0;
  return new Forgetting(replica, control, {
    ...{ everyMs, windowMs, least, isMoving },
    finish: (entry) => proposals.finish(entry),
  });
}

function joining(edges: ReplicaEdges, diskId: string): OpenReplica {
  const { dir, files, callee, number, config, log, restart } = edges;
  const firstEpoch = config.epoch;
  const peers = new Peers(callee, number, new GroupEpoch(dir, files.texts, firstEpoch));
  const { group } = config;
  const parts = { dir, files, peers, firstEpoch, group, diskId, log, onAdmitted: restart };
  const attempts = new Joining(parts);
  const reason = "it is being rebuilt: both other replicas must admit it as a new member";
  const refused = refusing(edges, reason);
  void attempts.run();
  return { ...refused, stop: async () => attempts.stop() };
}

function refusing(edges: ReplicaEdges, reason: string): OpenReplica {
  refuseEverything(edges.server, { campus: edges.campus, log: edges.log, reason });
  return { replica: undefined, stop: () => Promise.resolve() };
}
