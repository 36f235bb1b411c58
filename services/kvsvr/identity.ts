/**
 * Who a replica is, durably, and whom it has met (S3: losing memory is losing the right to vote).
 *
 * A disk has an id, made when the group is bootstrapped; a replica's incarnation is raised at every
 * start. Each replica remembers both of the others: an empty disk shows as another disk id, an older
 * copy put back as an incarnation that does not rise. Neither may vote.
 */

import { randomBytes } from "node:crypto";
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { raiseIncarnation } from "../svrkit/ids.ts";

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
  if (remembered === undefined) return { verdict: "welcome" };
  if (remembered.diskId !== claimed.diskId) {
    return {
      verdict: "refused",
      reason: "its disk is not the one this group knows: it has lost its memory",
    };
  }
  if (claimed.incarnation < remembered.incarnation) {
    return { verdict: "refused", reason: "its disk is an older copy of the one this group knows" };
  }
  return { verdict: "welcome" };
}

export class Identity {
  readonly #dir: string;
  readonly diskId: string;
  readonly incarnation: number;
  readonly #met: Map<number, Met>;

  private constructor(dir: string, diskId: string, incarnation: number) {
    this.#dir = dir;
    this.diskId = diskId;
    this.incarnation = incarnation;
    this.#met = readMet(join(dir, MET_FILE));
  }

  /** undefined: the directory has no disk id and nobody permitted it to get one. */
  static open(dir: string): Identity | undefined {
    const path = join(dir, DISK_FILE);
    const permit = join(dir, BOOTSTRAP_FILE);
    if (!existsSync(path)) {
      if (!existsSync(permit)) return undefined;
      writeDurably(dir, DISK_FILE, randomBytes(16).toString("hex"));
    }
    if (existsSync(permit)) unlinkSync(permit);
    const diskId = readFileSync(path, "utf8").trim();
    return new Identity(dir, diskId, raiseIncarnation(dir));
  }

  met(replica: number): Met | undefined {
    return this.#met.get(replica);
  }

  remember(replica: number, met: Met): void {
    const before = this.#met.get(replica);
    if (before?.diskId === met.diskId && before.incarnation === met.incarnation) return;
    this.#met.set(replica, met);
    writeDurably(this.#dir, MET_FILE, JSON.stringify(Object.fromEntries(this.#met)));
  }
}

function readMet(path: string): Map<number, Met> {
  if (!existsSync(path)) return new Map();
  const parsed = metSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  return new Map(Object.entries(parsed).map(([replica, met]) => [Number(replica), met]));
}

function writeDurably(dir: string, name: string, text: string): void {
  const temporary = join(dir, `${name}.new`);
  const file = openSync(temporary, "w", 0o600);
  writeSync(file, text);
  fsyncSync(file);
  closeSync(file);
  renameSync(temporary, join(dir, name));
  const folder = openSync(dir, "r");
  fsyncSync(folder);
  closeSync(folder);
}
