/**
 * The way back for a replica that lost its memory: a new member of its group (protocol/admission.ts).
 * It begins with a named human act, a permit in its directory, and goes on after a crash at any point.
 *
 *   permit    what lies in the directory is moved aside, never removed; a new disk id is drawn
 *   joining   refuses everything, until both others hold the new disk under one higher epoch
 *   copying   started as that member, but barred, until it has copied everything from both (copy.ts)
 */
import { join } from "node:path";
import { z } from "zod";
import {
  type AdmitReply,
  type AdmitRequest,
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
import type { Files } from "./storage/files.ts";

const RETRY_MS = 500;

const stageSchema = z.discriminatedUnion("stage", [
  z.strictObject({ stage: z.literal("joining"), diskId: z.string() }),
  z.strictObject({ stage: z.literal("copying") }),
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
    const { dir, files, peers, diskId, firstEpoch, log } = this.#parts;
    const wanted = { replica: peers.self, diskId };
    const asked = await this.#askBoth({ epoch: 0, ...wanted });
    const admission = { epoch: epochFor(wanted, asked.map(heldBy)), ...wanted };
    const held = await this.#askBoth(admission);
    if (!held.every((reply) => judgeAdmission(heldBy(reply), admission) === "held")) return false;
    // No start of the old disk that ever voted was in an incarnation that neither of them has met.
    const met = Math.max(...held.map((reply) => reply.rememberedIncarnation));
    beginIncarnationsAbove(dir, met, files.texts);
    files.texts.replace(join(dir, DISK_FILE), diskId);
    new GroupEpoch(dir, files.texts, firstEpoch).hold(admission);
    saveStage(dir, files, { stage: "copying" });
    log.info({ epoch: admission.epoch }, "admitted as a new member of the group");
    return true;
  }

  #askBoth({ epoch, replica, diskId }: Admission): Promise<AdmitReply[]> {
    const { peers } = this.#parts;
    const request: AdmitRequest = {
      admission: { epoch, replica, diskId: Buffer.from(diskId, "hex") },
    };
    return Promise.all(peers.others.map((peer) => peers.call(peer, ReplicaService.admit, request)));
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
