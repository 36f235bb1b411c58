/**
 * The way back for a log that lost its disk: a new disk in its place, by a named human act (a permit in
 * its folder), which goes on after a crash at any point.
 *
 *   permit    what lies in the folder is moved aside, never removed; a new disk id is drawn
 *   admitted  both others forget the old disk: it is never welcome again
 *   fenced    both others promise an epoch above all that they know, for every stream that either knows
 *   copied    what both of them hold lies here, too
 *
 * Whatever the old disk granted together with another log, that one still holds. The fence is for what is
 * under way: an append that the old disk granted, and another log only grants after it was copied, would
 * count and lie on one disk. For the same reason the new disk grants nothing to an epoch of before, of
 * streams that nobody told it of either (UNKNOWN_STREAMS). Writers that are fenced open their streams anew.
 */
import { join } from "node:path";
import {
  type Epoch,
  type FenceReply,
  Log,
  type StreamStanding,
} from "../../protos/gen/tricampus/queue/v1/log_codec.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { Logger } from "../svrkit/log.ts";
import type { Method } from "../svrkit/method.ts";
import { rest } from "../svrkit/rest.ts";
import { setAside } from "../svrkit/set-aside.ts";
import { systemTextFiles } from "../svrkit/text-files.ts";
import { DISK_FILE, newDiskId } from "./identity.ts";
import { compareEpochs, NO_EPOCH } from "./protocol/epoch.ts";
import { UNKNOWN_STREAMS } from "./protocol/stream-log.ts";
import type { LogEngine } from "./storage/engine.ts";

export const LOG_REBUILD_FILE = "rebuild";
export const BEING_REBUILT = "it is being rebuilt from the two other logs of its group";
const RETRY_MS = 500;
const CALL_TIMEOUT_MS = 2_000;
const SIDE_BY_SIDE = 16;

/** The id of the new disk, when its rebuild is permitted or under way; undefined: nobody wants it. */
export async function beginRebuild(dir: string): Promise<string | undefined> {
  const path = join(dir, LOG_REBUILD_FILE);
  const text = systemTextFiles.read(path);
  if (text === undefined) return undefined;
  if (text.trim() !== "") return text.trim();
  await setAside(dir, LOG_REBUILD_FILE);
  const diskId = newDiskId();
  systemTextFiles.replace(path, diskId);
  return diskId;
}

export interface RebuildParts {
  readonly dir: string;
  readonly group: number;
  readonly campus: string;
  readonly diskId: string;
  readonly logs: Pick<Callee, "callOne">;
  /** Indexes of the two other logs. */
  readonly others: readonly number[];
  readonly engine: LogEngine;
  readonly log: Logger;
}

/** Above what was seen by so much, for openings that were under way and neither log has seen. */
const ROUNDS_ABOVE = 1_000;
/** Of one stream at one log, while writers open it at the same time. */
const FENCE_ATTEMPTS_MAX = 8;

export class Rebuild {
  readonly #parts: RebuildParts;
  #stopped = false;

  constructor(parts: RebuildParts) {
    this.#parts = parts;
  }

  /** Again until it is done; resolves to the id of the disk, or undefined when it was stopped. */
  async run(): Promise<string | undefined> {
    const { dir, diskId, group, log } = this.#parts;
    for (let said = ""; !this.#stopped; ) {
      try {
        await this.#rebuild();
        systemTextFiles.replace(join(dir, DISK_FILE), diskId);
        systemTextFiles.remove(join(dir, LOG_REBUILD_FILE));
        log.info({ group }, "rebuilt from both other logs");
        return diskId;
      } catch (error) {
        if (!(error instanceof RpcError)) log.error({ err: error, group }, "rebuilding failed");
        const reason = RpcError.from(error).message;
        if (reason !== said) log.warn({ group, reason }, "not rebuilt yet; it is tried again");
        said = reason;
      }
      await rest(RETRY_MS);
    }
    return undefined;
  }

  stop(): void {
    this.#stopped = true;
  }

  async #rebuild(): Promise<void> {
    const { others, campus, diskId, engine } = this.#parts;
    const { group } = this.#parts;
    for (const index of others) await this.#call(index, Log.admit, { group, campus, diskId });
    const streams = new Map<string, StreamStanding>();
    for (const index of others) await this.#learnStreams(index, streams);
    const highest = [...streams.values()].map(({ promised }) => promised?.round ?? 0);
    const round = Math.max(0, ...highest) + ROUNDS_ABOVE;
    const promised = { round, writer: `${campus}.rebuilt.${diskId}` };
    await engine.adopt({ ...NOTHING, stream: UNKNOWN_STREAMS, promised }, []);
    const names = [...streams.keys()];
    for (let at = 0; at < names.length; at += SIDE_BY_SIDE) {
      const some = names.slice(at, at + SIDE_BY_SIDE);
      await Promise.all(some.map((stream) => this.#takeOver(stream, promised)));
    }
  }

  async #learnStreams(index: number, streams: Map<string, StreamStanding>): Promise<void> {
    const { group } = this.#parts;
    for (let after = "", more = true; more; ) {
      const page = await this.#call(index, Log.listStandings, { group, after });
      for (const standing of page.standings) {
        const before = streams.get(standing.stream)?.promised ?? NO_EPOCH;
        if (compareEpochs(standing.promised ?? NO_EPOCH, before) >= 0)
          streams.set(standing.stream, standing);
      }
      after = page.standings.at(-1)?.stream ?? "";
      more = page.more;
    }
  }

  async #takeOver(stream: string, promised: Epoch): Promise<void> {
    const { others, group, engine } = this.#parts;
    for (const index of others) {
      const fenced = await this.#fence(index, stream, promised);
      const { trimmedThrough, settledThrough } = fenced;
      const standing = { stream, promised, trimmedThrough, settledThrough };
      await engine.adopt(standing, fenced.entries);
      for (let { more, entries } = fenced; more; ) {
        const after = entries.at(-1)!.slot;
        ({ more, entries } = await this.#call(index, Log.read, { group, stream, after }));
        await engine.adopt(standing, entries);
      }
    }
  }

  /** A writer that opens the stream meanwhile costs this stream another round, not all of them. */
  async #fence(index: number, stream: string, lowest: Epoch): Promise<FenceReply> {
    const { group } = this.#parts;
    for (let { round } = lowest, attempt = 0; attempt < FENCE_ATTEMPTS_MAX; attempt++) {
      const epoch = { ...lowest, round };
      const fenced = await this.#call(index, Log.fence, { group, stream, epoch });
      if (fenced.granted) return fenced;
      round = (fenced.promised?.round ?? round) + 1;
    }
    throw new RpcError("FENCED", `writers open ${stream} again and again`);
  }

  #call<I, O>(index: number, method: Method<I, O>, request: I): Promise<O> {
    if (this.#stopped) throw new RpcError("UNAVAILABLE", "this log is stopping");
    return this.#parts.logs.callOne(index, method, request, { timeoutMs: CALL_TIMEOUT_MS });
  }
}

const NOTHING = { settledThrough: 0, trimmedThrough: 0 };
