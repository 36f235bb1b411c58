/** Clients that run one operation after another and write down what they asked and heard. */

import { Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../services/kvsvr/client.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import type { Random } from "../../services/svrkit/seeded-random.ts";
import type { Operation } from "../history.ts";
import { largeValue } from "./values.ts";

export interface Actor {
  readonly index: number;
  readonly kv: KvClient;
  /** One for all clients. */
  readonly clock: { readonly nowMs: number };
  readonly random: Random;
  readonly record: (operation: Operation) => void;
  /** Share of the values that are large, and how large at most. */
  readonly large: { readonly share: number; readonly bytesMax: number };
  /** Share of the reads that may be half a second old. */
  readonly recentShare: number;
  /** Operations begun, for values and ids that never repeat. */
  begun: number;
  /** Of tables: the newest version seen, and where the mark was last heard to stand. */
  readonly newest: Map<string, number>;
  readonly marks: Map<string, number>;
  /** For each operation under way, what records it as one of unknown outcome when the run is over. */
  readonly underWay: Set<() => void>;
}

/** An operation id as newOperationId makes it, from the simulated clock and a counter. */
export function operationIdOf(actor: Actor): Buffer {
  const id = Buffer.alloc(16);
  id.writeUIntBE(Date.now(), 0, 6);
  id.writeUIntBE(actor.index + 1, 6, 6);
  id.writeUInt32BE(actor.begun, 12);
  return id;
}

/** A value that was never written before; drawn as a large one now and then. */
export function newValue(actor: Actor, bytesMax = actor.large.bytesMax): string {
  actor.begun += 1;
  const name = `${actor.index}.${actor.begun}`;
  const { share } = actor.large;
  if (share === 0 || !actor.random.chance(share)) return name;
  return largeValue(name, 1 + actor.random.index(bytesMax));
}

/** How new the next read asks to be, and how its history says so. */
export function drawLevel({ recentShare, random }: Actor): ReadLevel {
  return recentShare > 0 && random.chance(recentShare) ? RECENT : STRONG;
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export interface ReadLevel {
  readonly level: Level;
  readonly told: { readonly level?: "recent" };
}

export const STRONG: ReadLevel = { level: Level.STRONG, told: {} };
const RECENT: ReadLevel = { level: Level.RECENT, told: { level: "recent" } };

type Asked = Pick<Operation, "op" | "key" | "id"> & Record<string, unknown>;

/**
 * Carries out one call and records it. A failure leaves the outcome open: some attempt of the call
 * may have been carried out. False then.
 */
export async function perform<T>(
  actor: Actor,
  asked: Asked,
  call: () => Promise<T>,
  heard: (reply: T) => Record<string, unknown>,
): Promise<boolean> {
  const { clock, index } = actor;
  const start = clock.nowMs;
  const line = (rest: Record<string, unknown>) =>
    actor.record({
      type: "op",
      client: index,
      ...asked,
      start: round(start),
      end: round(clock.nowMs),
      ...rest,
    } as unknown as Operation);
  const giveUp = () => line({ outcome: "unknown", error: "UNFINISHED" });
  actor.underWay.add(giveUp);
  try {
    const reply = await call();
    line({ outcome: "ok", ...heard(reply) });
    return true;
  } catch (error) {
    line({ outcome: "unknown", error: RpcError.from(error).code });
    return false;
  } finally {
    actor.underWay.delete(giveUp);
  }
}

/** Times have microseconds: enough to keep the order, and the same in every run. */
function round(ms: number): number {
  return Math.round(ms * 1_000) / 1_000;
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
