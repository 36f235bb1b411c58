/**
 * Follows the control table for one process: what is blocked now, by the last state that could be
 * read and this process's own clock, and which KV group serves which slots.
 *
 * The table is read through the own campus's replica first, every LOOK_EVERY_MS; what was read last is
 * on disk, in force from the process's first moment, and ends at its time even when no store can be
 * reached. Reads are recent ones, so that the processes of a campus together cost their replica one
 * version query in half a second. One that may be older (no quorum answers) is taken only when it is
 * newer than what is known.
 */
import { z } from "zod";
import { Kv, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { Beat } from "../svrkit/beat.ts";
import { monotonicMs } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import type { Blocks } from "../svrkit/failover/blocks.ts";
import type { Shards } from "../svrkit/failover/shards.ts";
import type { Logger } from "../svrkit/log.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { setTrouble } from "../svrkit/monitors/trouble.ts";
import type { TextFiles } from "../svrkit/text-files.ts";
import { inForce, nameOf } from "./plan/blocks.ts";
import { shardsOf } from "./plan/slot-map.ts";
import { type ControlState, stateOf, stateRequest } from "./rows.ts";

/**
 * Ends are looked for, and the table is read. With what a recent read may miss, and one that has to fail
 * over, within the two seconds in which everybody is to know.
 */
const LOOK_EVERY_MS = 750;
const READ_TIMEOUT_MS = 800;
const STALE_TIMEOUT_MS = 300;
/** Without an answer for so long, people are told. */
const TROUBLE_AFTER_MS = 10_000;

const reads = monitorId("control.reads");
const failures = monitorId("control.read_failures");
const blocked = monitorId("control.blocks_in_force");

const copySchema = z.strictObject({
  version: z.int().min(0),
  blocks: z.array(
    z.strictObject({
      campus: z.string(),
      service: z.string(),
      untilMs: z.int(),
      why: z.string(),
      who: z.string(),
      setAtMs: z.int(),
      forced: z.boolean(),
    }),
  ),
  /** What other KV groups than the first serve; absent in a copy of before there were several. */
  shards: z
    .array(z.strictObject({ keyspace: z.int(), first: z.int(), last: z.int(), group: z.int() }))
    .default([]),
  /** Number of the move under way; 0: none. */
  move: z.int().default(0),
});

type Copy = z.output<typeof copySchema>;

interface FollowerParts {
  /** The group's replicas. */
  readonly kvsvr: Callee;
  readonly campus: string;
  /** Told what is in force. */
  readonly blocks: Blocks;
  /** Told which KV group serves which slots. */
  readonly shards: Shards;
  readonly files: TextFiles;
  /** Where the copy is. */
  readonly path: string;
  readonly log: Logger;
  readonly beat: Beat;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class BlockFollower {
  readonly #parts: FollowerParts;
  readonly #order: readonly number[];
  #copy: Copy;
  #end: (() => void) | undefined;
  #reading: Promise<void> | undefined;
  #heardMs = monotonicMs();

  /** From now on the last copy is in force. */
  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#order = ownFirst(parts.kvsvr, parts.campus);
    this.#copy = this.#load();
    parts.blocks.onChange(() => {
      const names = inForce(this.#copy.blocks, parts.now()).map(nameOf);
      parts.log.info({ blocked: names }, "what is blocked has changed");
    });
    parts.shards.refresh = () => this.#readOnce(Level.STRONG);
    this.#heed();
  }

  start(): void {
    this.#look();
    this.#end = this.#parts.beat.every(LOOK_EVERY_MS, () => this.#look());
  }

  stop(): void {
    this.#end?.();
  }

  #look(): void {
    this.#heed();
    void this.#readOnce(Level.RECENT);
  }

  /** One read at a time. */
  #readOnce(level: Level): Promise<void> {
    this.#reading ??= this.#read(level).finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Never rejects. */
  async #read(level: Level): Promise<void> {
    monitor.add(reads, 1);
    try {
      const state = await this.#ask(level, READ_TIMEOUT_MS).catch(() =>
        this.#ask(Level.ANY, STALE_TIMEOUT_MS).then((state) =>
          state.version > this.#copy.version ? state : undefined,
        ),
      );
      this.#heardMs = monotonicMs();
      setTrouble("control", undefined);
      if (state !== undefined) this.#take(state);
    } catch (error) {
      monitor.add(failures, 1);
      if (monotonicMs() - this.#heardMs < TROUBLE_AFTER_MS) return;
      const why = error instanceof Error ? error.message : String(error);
      setTrouble("control", `the control table cannot be read, its last copy is in force (${why})`);
    }
  }

  async #ask(level: Level, timeoutMs: number): Promise<ControlState> {
    const options = { order: this.#order, timeoutMs };
    return stateOf(await this.#parts.kvsvr.call(Kv.getRows, stateRequest(level), options));
  }

  #take({ version, blocks, slots }: ControlState): void {
    if (version === this.#copy.version) return;
    const move = slots.move?.number ?? 0;
    this.#copy = { version, blocks: [...blocks], shards: shardsOf(slots), move };
    this.#heed();
    this.#save();
  }

  #heed(): void {
    const standing = inForce(this.#copy.blocks, this.#parts.now());
    monitor.set(blocked, standing.length);
    this.#parts.blocks.set(standing);
    this.#parts.shards.set(this.#copy.shards, this.#copy.move);
  }

  #load(): Copy {
    const { files, path, log } = this.#parts;
    try {
      const text = files.read(path);
      if (text !== undefined) return copySchema.parse(JSON.parse(text));
    } catch (error) {
      log.warn(
        { err: error, path },
        "the copy of the control table cannot be read; starting without",
      );
    }
    return { version: 0, blocks: [], shards: [], move: 0 };
  }

  #save(): void {
    const { files, path, log } = this.#parts;
    try {
      files.replace(path, JSON.stringify(this.#copy));
    } catch (error) {
      log.warn({ err: error, path }, "the copy of the control table cannot be written");
    }
  }
}

/** Every replica, the own campus's in front. */
function ownFirst(kvsvr: Callee, campus: string): number[] {
  const own = kvsvr.peers.findIndex((peer) => peer.campus === campus);
  const all = kvsvr.peers.map((_, index) => index);
  return own < 0 ? all : [own, ...all.filter((index) => index !== own)];
}
