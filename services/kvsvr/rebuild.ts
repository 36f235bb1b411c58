/**
 * The way back for a replica that lost its memory: a new member of its group (protocol/admission.ts).
 * It begins with a named human act, a permit in its directory, and goes on after a crash at any point.
 *
 *   permit    what lies in the directory is moved aside, never removed; a new disk id is drawn
 *   joining   refuses everything, until both others hold the new disk under one higher epoch
 *   copying   started as that member, but barred, until it has copied everything from both (copy.ts)
 *
 * In a group that was forced (force.ts) its keeper stands for both others.
 */
import { join } from "node:path";
import { z } from "zod";
import {
  type AdmitReply,
  Replica as ReplicaService,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { beginIncarnationsAbove } from "../svrkit/ids.ts";
import type { Logger } from "../svrkit/log.ts";
import { randomBytes } from "../svrkit/random.ts";
import { rest } from "../svrkit/rest.ts";
import { GroupEpoch } from "./group-epoch.ts";
import { DISK_FILE, DISK_ID_BYTES, REBUILD_FILE } from "./identity.ts";
import type { Peers } from "./peers.ts";
import { type Admission, epochFor, type HeldEpoch, judgeAdmission } from "./protocol/admission.ts";
import { SlotTable } from "./slots/slot-table.ts";
import type { Files } from "./storage/files.ts";

const RETRY_MS = 500;
/** Starts of a lost disk that the one replica that is left may not have met. */
const UNMET_STARTS = 1_000;

const stageSchema = z.discriminatedUnion("stage", [
  z.strictObject({ stage: z.literal("joining"), diskId: z.string() }),
  /** From both others, or from the group's keeper alone. */
  z.strictObject({ stage: z.literal("copying"), sources: z.array(z.number().int()).optional() }),
]);

type Stage = z.infer<typeof stageSchema>;

/** How far rebuilding has come; begins it when it is permitted. undefined: nobody wants it. */
export async function stageOfRebuild(dir: string, files: Files): Promise<Stage | undefined> {
  const text = files.texts.read(join(dir, REBUILD_FILE));
  if (text === undefined) return undefined;
  if (text.trim() !== "") return stageSchema.parse(JSON.parse(text));
  await files.setAside(dir, REBUILD_FILE);
  const diskId = randomBytes(DISK_ID_BYTES).toString("hex");
  return saveStage(dir, files, { stage: "joining", diskId });
}

function saveStage(dir: string, files: Files, stage: Stage): Stage {
  files.texts.replace(join(dir, REBUILD_FILE), JSON.stringify(stage));
  return stage;
}

export function endRebuild(dir: string, files: Files): void {
  files.texts.remove(join(dir, REBUILD_FILE));
}

export interface JoiningParts {
  readonly dir: string;
  readonly files: Files;
  readonly peers: Peers;
  readonly firstEpoch: number;
  /** Number of the group. */
  readonly group: number;
  readonly diskId: string;
  readonly log: Logger;
  /** Called once, when this disk may be started as the new member. */
  readonly onAdmitted: () => void;
}

/** Asks both others to admit the new disk, again until they do. */
export class Joining {
  readonly #parts: JoiningParts;
  #stopped = false;

  constructor(parts: JoiningParts) {
    this.#parts = parts;
  }

  async run(): Promise<void> {
    const { log, onAdmitted } = this.#parts;
    while (!this.#stopped) {
      try {
        if (await this.#join()) {
          if (!this.#stopped) onAdmitted();
          return;
        }
      } catch (error) {
        log.debug({ reason: RpcError.from(error).message }, "not admitted yet");
      }
      await rest(RETRY_MS);
    }
  }

  /** False: the others held something else meanwhile. */
  async #join(): Promise<boolean> {
    const { dir, files, peers, diskId, firstEpoch, group, log } = this.#parts;
    const wanted = { replica: peers.self, diskId };
    const { sources, replies: asked } = await this.#askSources({ epoch: 0, ...wanted });
    const admission = { epoch: epochFor(wanted, asked.map(heldBy)), ...wanted };
    const held = await Promise.all(sources.map((peer) => this.#ask(peer, admission)));
    if (!held.every((reply) => judgeAdmission(heldBy(reply), admission) === "held")) return false;
    // No start of the old disk that ever voted was in an incarnation that neither of them has met.
    const met = Math.max(...held.map((reply) => reply.rememberedIncarnation));
    // A keeper has not met those that the two lost ones alone have met.
    const margin = sources.length < peers.others.length ? UNMET_STARTS : 0;
    beginIncarnationsAbove(dir, met + margin, files.texts);
    files.texts.replace(join(dir, DISK_FILE), diskId);
    SlotTable.begin(dir, files.texts, { group, others: held.map((reply) => reply.slots) });
    new GroupEpoch(dir, files.texts, firstEpoch).hold(admission);
    saveStage(dir, files, { stage: "copying", sources: [...sources] });
    log.info({ epoch: admission.epoch }, "admitted as a new member of the group");
    return true;
  }

  /** Both others have to answer, or the group's keeper. */
  async #askSources(admission: Admission): Promise<{ sources: number[]; replies: AdmitReply[] }> {
    const { others } = this.#parts.peers;
    const asked = await Promise.allSettled(others.map((peer) => this.#ask(peer, admission)));
    for (const [i, one] of asked.entries())
      if (one.status === "fulfilled" && one.value.keeper)
        return { sources: [others[i]!], replies: [one.value] };
    const replies = asked.map((one) => {
      if (one.status === "rejected") throw one.reason;
      return one.value;
    });
    return { sources: [...others], replies };
  }

  #ask(peer: number, { epoch, replica, diskId }: Admission): Promise<AdmitReply> {
    const admission = { epoch, replica, diskId: Buffer.from(diskId, "hex") };
    return this.#parts.peers.call(peer, ReplicaService.admit, { admission, copied: false });
  }

  stop(): void {
    this.#stopped = true;
  }
}

function heldBy({ epoch, admission }: AdmitReply): HeldEpoch {
  if (admission === undefined) return { epoch, admission };
  const diskId = Buffer.from(admission.diskId).toString("hex");
  return { epoch, admission: { epoch: admission.epoch, replica: admission.replica, diskId } };
}
