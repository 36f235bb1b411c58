/**
 * Meeting the two other logs of the group: at every start a log introduces itself to both, and grants
 * nothing until one of them knows its disk. When one does not, it takes no part any more and says why.
 * From then on it tells them, while it grows, how far its disk goes: so an older copy put back is
 * noticed when it lacks more than the last few seconds.
 */
import {
  type AdmitLogRequest,
  type IntroduceLogReply,
  type IntroduceLogRequest,
  Log,
} from "../../protos/gen/tricampus/queue/v1/log_codec.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import {
  comparePositions,
  judgeDisk,
  type KnownDisk,
  type Position,
} from "../svrkit/known-disk.ts";
import type { Logger } from "../svrkit/log.ts";
import { LogsMet, openDisk } from "./identity.ts";
import { BEING_REBUILT, type Rebuild } from "./rebuild.ts";
import { isRefusal } from "./storage/files.ts";

const RETRY_FIRST_MS = 20;
const RETRY_LAST_MS = 1_000;
const CALL_TIMEOUT_MS = 1_000;
const TELL_INTERVAL_MS = 5_000;
const NOT_MET = "it has not met another log of its group yet";

export interface MembershipOptions {
  readonly group: number;
  readonly campus: string;
  /** The three logs of the group, and the indexes of the two others. */
  readonly logs: Pick<Callee, "callOne">;
  readonly others: readonly number[];
  readonly durable: () => Position;
  readonly log: Logger;
  /** This log may not vote until somebody has looked after it; undefined: somebody has. */
  readonly onBarred: (reason: string | undefined) => void;
  readonly tellIntervalMs?: number;
  /** The log begins anew: until that is done it knows nothing that others may build on. */
  readonly rebuild?: Rebuild | undefined;
}

export class Membership {
  readonly #options: MembershipOptions;
  #diskId: string | undefined;
  readonly #met: LogsMet;
  /** Why this log may not vote; undefined when it may. */
  barred: string | undefined = NOT_MET;
  #refused: string | undefined;
  #told: Position = { segment: 0, bytes: 0 };
  /** By log: starts the next attempt to introduce this one to it at once. */
  readonly #waiting = new Map<number, () => void>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  private constructor(options: MembershipOptions, diskId: string | undefined, met: LogsMet) {
    this.#options = options;
    this.#diskId = diskId;
    this.#met = met;
    if (options.rebuild !== undefined) {
      this.#refuse(BEING_REBUILT);
      return;
    }
    if (diskId !== undefined) return;
    this.#refuse("its disk is empty, and it had one: it has lost its memory");
  }

  static async open(dir: string, options: MembershipOptions): Promise<Membership> {
    const diskId = options.rebuild === undefined ? await openDisk(dir) : undefined;
    return new Membership(options, diskId, await LogsMet.open(dir));
  }

  start(): void {
    const { rebuild } = this.#options;
    if (rebuild !== undefined) void rebuild.run().then((diskId) => this.#rebuilt(diskId));
    else if (this.#refused === undefined) this.#begin();
  }

  /** `diskId`: undefined when it was stopped before. */
  #rebuilt(diskId: string | undefined): void {
    if (diskId === undefined || this.#stopped) return;
    this.#diskId = diskId;
    this.#refused = undefined;
    this.barred = NOT_MET;
    this.#options.onBarred(undefined);
    this.#begin();
  }

  #begin(): void {
    this.#told = this.#options.durable();
    for (const index of this.#options.others) void this.#introduceUntilHeard(index);
    const intervalMs = this.#options.tellIntervalMs ?? TELL_INTERVAL_MS;
    this.#timer = setInterval(() => this.#tell(), intervalMs);
  }

  /** What it was about to remember is on the disk when it resolves. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#options.rebuild?.stop();
    clearInterval(this.#timer);
    await this.#met.settled();
  }

  /** Another log introduces itself: judged by what is remembered of it. */
  async introduced(request: IntroduceLogRequest): Promise<IntroduceLogReply> {
    const { campus, diskId, segment, bytes } = request;
    if (this.#refused !== undefined) {
      throw new RpcError("UNAVAILABLE", `this log cannot vouch for another: ${this.#refused}`);
    }
    const claimed = { diskId, segment, bytes };
    const refused = judgeDisk(this.#met.get(campus), claimed);
    if (refused === undefined) await this.#remember(campus, claimed);
    // It is there: no need to wait for the next attempt.
    if (this.barred !== undefined) for (const wake of this.#waiting.values()) wake();
    return { refused: refused ?? "" };
  }

  /** A log of that campus begins anew, on this disk: none that was there before is welcome again. */
  async admit({ campus, diskId }: AdmitLogRequest): Promise<void> {
    await this.#remember(campus, { diskId, segment: 0, bytes: 0 });
  }

  async #remember(campus: string, log: KnownDisk): Promise<void> {
    try {
      await this.#met.remember(campus, log);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      throw new RpcError("STORAGE_REFUSED", `the disk takes no writes: ${error}`, { cause: error });
    }
  }

  async #introduceUntilHeard(index: number): Promise<void> {
    for (let pauseMs = RETRY_FIRST_MS; !this.#stopped; pauseMs *= 2) {
      try {
        await this.#introduce(index);
        return;
      } catch (error) {
        const reason = RpcError.from(error).message;
        this.#options.log.debug({ log: index, reason }, "not introduced yet");
      }
      await new Promise<void>((resolve) => {
        this.#waiting.set(index, resolve);
        setTimeout(resolve, Math.min(pauseMs, RETRY_LAST_MS));
      });
    }
  }

  async #introduce(index: number): Promise<void> {
    const { group, campus, logs, durable } = this.#options;
    const { segment, bytes } = durable();
    const request = { group, campus, diskId: this.#diskId!, segment, bytes };
    const { refused } = await logs.callOne(index, Log.introduce, request, {
      timeoutMs: CALL_TIMEOUT_MS,
    });
    if (this.#stopped) return;
    if (refused !== "") this.#refuse(refused);
    else if (this.#refused === undefined) this.barred = undefined;
  }

  #tell(): void {
    const durable = this.#options.durable();
    if (comparePositions(durable, this.#told) === 0) return;
    this.#told = durable;
    for (const index of this.#options.others) {
      this.#introduce(index).catch(() => {}); // told again when more was written
    }
  }

  #refuse(reason: string): void {
    if (this.#refused !== undefined) return;
    this.#refused = reason;
    this.barred = reason;
    this.#options.log.error({ group: this.#options.group, reason }, "this log does not vote");
    this.#options.onBarred(reason);
  }
}
