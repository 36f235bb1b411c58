/**
 * Who a replica is, durably, and whom it has met (S3: losing memory is losing the right to vote).
 *
 * A disk has an id, made when the group is bootstrapped; at every start a replica raises its
 * incarnation and draws a nonce. Each replica remembers both of the others: how they are judged is
 * in protocol/introduction.ts.
 */

import { join } from "node:path";
import { z } from "zod";
import { raiseIncarnation } from "../svrkit/ids.ts";
import { randomBytes } from "../svrkit/random.ts";
import type { TextFiles } from "../svrkit/text-files.ts";
import { incarnationFloor } from "./protocol/ballot.ts";
import { type Met, type Start, startsToKeep } from "./protocol/introduction.ts";
import { planted } from "./protocol/planted.ts";
import { SavedText } from "./storage/saved-text.ts";

/** A file that permits an empty directory to become a replica's disk, once. */
export const BOOTSTRAP_FILE = "bootstrap";
/** An empty file of this name permits to rebuild the replica; then it says how far that has come. */
export const REBUILD_FILE = "rebuild";
export const DISK_FILE = "disk-id";
export const DISK_ID_BYTES = 16;
export const MET_FILE = "replicas-met.json";
const STARTS_FILE = "starts.json";
const NONCE_BYTES = 8;

const incarnation = z.number().int().min(1);
const count = z.number().int().min(0);

/** What was written before disks remembered nonces and positions has none. */
const metSchema = z.record(
  z.string(),
  z.object({
    diskId: z.string(),
    incarnation: count,
    nonce: z.string().default(""),
    segment: count.default(0),
    bytes: count.default(0),
  }),
);

const startsSchema = z.strictObject({
  /** Oldest first. */
  starts: z.array(z.strictObject({ incarnation, nonce: z.string() })),
  /** By replica: the newest incarnation that it is known to remember. */
  knownTo: z.record(z.string(), incarnation),
});

type Starts = z.infer<typeof startsSchema>;

export class Identity {
  readonly diskId: string;
  /** This start, and the ones before that may be remembered elsewhere, oldest first. */
  readonly start: Start;
  readonly before: readonly Start[];
  readonly #starts: Starts;
  readonly #startsText: SavedText;
  readonly #met: Map<number, Met>;
  readonly #metText: SavedText;

  private constructor(dir: string, files: TextFiles, diskId: string, group: number) {
    this.diskId = diskId;
    this.#metText = new SavedText(join(dir, MET_FILE), files);
    this.#met = metIn(this.#metText.saved);
    this.#startsText = new SavedText(join(dir, STARTS_FILE), files);
    this.#starts = startsIn(this.#startsText.saved);
    this.before = startsToKeep(this.#starts.starts, Object.values(this.#starts.knownTo));
    const nonce = randomBytes(NONCE_BYTES).toString("hex");
    this.start = { incarnation: raiseIncarnation(dir, files, incarnationFloor(group)), nonce };
    this.#starts.starts = [...this.before, this.start];
    this.#startsText.saveNow(JSON.stringify(this.#starts));
  }

  /** undefined: the directory has no disk id and nobody permitted it to get one. */
  static open(dir: string, files: TextFiles, group = 1): Identity | undefined {
    const path = join(dir, DISK_FILE);
    const permit = join(dir, BOOTSTRAP_FILE);
    const isPermitted = files.read(permit) !== undefined;
    let diskId = files.read(path)?.trim();
    if (diskId === undefined) {
      if (!isPermitted && !planted("vote-after-disk-loss")) return undefined;
      diskId = randomBytes(DISK_ID_BYTES).toString("hex");
      files.replace(path, diskId);
    }
    if (isPermitted) files.remove(permit);
    return new Identity(dir, files, diskId, group);
  }

  get incarnation(): number {
    return this.start.incarnation;
  }

  met(replica: number): Met | undefined {
    return this.#met.get(replica);
  }

  /** Counts at once; durable when it resolves. */
  remember(replica: number, met: Met): Promise<void> {
    this.#met.set(replica, met);
    return this.#metText.save(JSON.stringify(Object.fromEntries(this.#met)));
  }

  /** The replica is a new member, on this disk: nothing but its incarnations goes on. */
  expect(replica: number, diskId: string): void {
    const before = this.#met.get(replica);
    if (before?.diskId === diskId) return;
    const incarnation = before?.incarnation ?? 0;
    this.#met.set(replica, { diskId, incarnation, nonce: "", segment: 0, bytes: 0 });
  }

  /** Nothing more is written; resolves when what was under way is done. */
  async stop(): Promise<void> {
    await Promise.all([this.#metText.stop(), this.#startsText.stop()]);
  }

  /** The other replica has said that it remembers this start. */
  knownTo(replica: number): Promise<void> {
    this.#starts.knownTo[replica] = this.incarnation;
    return this.#startsText.save(JSON.stringify(this.#starts));
  }
}

function metIn(text: string | undefined): Map<number, Met> {
  if (text === undefined) return new Map();
  const parsed = metSchema.parse(JSON.parse(text));
  return new Map(Object.entries(parsed).map(([replica, met]) => [Number(replica), met]));
}

function startsIn(text: string | undefined): Starts {
  return text === undefined ? { starts: [], knownTo: {} } : startsSchema.parse(JSON.parse(text));
}
