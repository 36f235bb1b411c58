/**
 * Who a replica is, durably, and whom it has met (S3: losing memory is losing the right to vote).
 *
 * A disk has an id, made when the group is bootstrapped; a replica's incarnation is raised at every
 * start. Each replica remembers both of the others: an empty disk shows as another disk id, an older
 * copy put back as an incarnation that does not rise. Neither may vote.
 */

import { join } from "node:path";
import { z } from "zod";
import { raiseIncarnation } from "../svrkit/ids.ts";
import { randomBytes } from "../svrkit/random.ts";
import type { TextFiles } from "../svrkit/text-files.ts";
import { planted } from "./protocol/planted.ts";

/** A file that permits an empty directory to become a replica's disk, once. */
export const BOOTSTRAP_FILE = "bootstrap";
const DISK_FILE = "disk-id";
const MET_FILE = "replicas-met.json";

const metSchema = z.record(
  z.string(),
  z.object({ diskId: z.string(), incarnation: z.number().int().min(1) }),
);

export interface Met {
  /** Hex. */
  readonly diskId: string;
  readonly incarnation: number;
}

export type Introduction = { verdict: "welcome" } | { verdict: "refused"; reason: string };

/** What to make of a replica that introduces itself, given what is remembered of it. */
export function judgeIntroduction(remembered: Met | undefined, claimed: Met): Introduction {
  if (remembered === undefined || planted("vote-after-disk-loss")) return { verdict: "welcome" };
  if (remembered.diskId !== claimed.diskId) {
    return {
      verdict: "refused",
      reason: "its disk is not the one this group knows: it has lost its memory",
    };
  }
  if (claimed.incarnation < remembered.incarnation && !planted("incarnation-not-checked")) {
    return { verdict: "refused", reason: "its disk is an older copy of the one this group knows" };
  }
  return { verdict: "welcome" };
}

export class Identity {
  readonly #dir: string;
  readonly #files: TextFiles;
  readonly diskId: string;
  readonly incarnation: number;
  readonly #met: Map<number, Met>;

  private constructor(dir: string, files: TextFiles, diskId: string) {
    this.#dir = dir;
    this.#files = files;
    this.diskId = diskId;
    this.incarnation = raiseIncarnation(dir, files);
    this.#met = metIn(files.read(join(dir, MET_FILE)));
  }

  /** undefined: the directory has no disk id and nobody permitted it to get one. */
  static open(dir: string, files: TextFiles): Identity | undefined {
    const path = join(dir, DISK_FILE);
    const permit = join(dir, BOOTSTRAP_FILE);
    const isPermitted = files.read(permit) !== undefined;
    let diskId = files.read(path)?.trim();
    if (diskId === undefined) {
      if (!isPermitted && !planted("vote-after-disk-loss")) return undefined;
      diskId = randomBytes(16).toString("hex");
      files.replace(path, diskId);
    }
    if (isPermitted) files.remove(permit);
    return new Identity(dir, files, diskId);
  }

  met(replica: number): Met | undefined {
    return this.#met.get(replica);
  }

  remember(replica: number, met: Met): void {
    const before = this.#met.get(replica);
    if (before?.diskId === met.diskId && before.incarnation === met.incarnation) return;
    this.#met.set(replica, met);
    const text = JSON.stringify(Object.fromEntries(this.#met));
    this.#files.replace(join(this.#dir, MET_FILE), text);
  }
}

function metIn(text: string | undefined): Map<number, Met> {
  if (text === undefined) return new Map();
  const parsed = metSchema.parse(JSON.parse(text));
  return new Map(Object.entries(parsed).map(([replica, met]) => [Number(replica), met]));
}
