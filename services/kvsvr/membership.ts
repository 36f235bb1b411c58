/**
 * Meeting the others (S3): at every start a replica introduces itself to both. Until one of them
 * welcomes it, it neither votes nor serves; when one refuses it, it stays barred and says why.
 *
 * Being alone: a replica that reaches neither of the others refuses clients at once, so that they go
 * elsewhere. When it was alone or stopped for longer than a moment, it has missed changes: it votes
 * again at once, and serves clients when it has caught up.
 */
import {
  type IntroduceReply,
  type IntroduceRequest,
  Replica as ReplicaService,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import { setTrouble } from "../svrkit/monitors/trouble.ts";
import { rest } from "../svrkit/rest.ts";
import { type Identity, judgeIntroduction } from "./identity.ts";
import { ALONE_MS_MAX } from "./limits.ts";
import type { Repair } from "./repair.ts";
import type { Replica } from "./replica.ts";

const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 1_000;
const WATCH_MS = 100;
/** A backlog that is delivered within a moment. */
const SMALL_BACKLOG = 1_000;
const BACKLOG_POLL_MS = 200;

export class Membership {
  readonly #replica: Replica;
  readonly #identity: Identity;
  readonly #repair: Repair;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #watchedMs = 0;
  #aloneSinceMs: number | undefined;

  constructor(replica: Replica, identity: Identity, repair: Repair) {
    this.#replica = replica;
    this.#identity = identity;
    this.#repair = repair;
  }

  start(): void {
    for (const peer of this.#replica.peers.others) void this.#introduce(peer);
    this.#watchedMs = monotonicMs();
    this.#timer = setInterval(() => this.#watch(), WATCH_MS);
  }

  #watch(): void {
    const nowMs = monotonicMs();
    const stoppedMs = nowMs - this.#watchedMs;
    this.#watchedMs = nowMs;
    const { peers } = this.#replica;
    const isAlone = !peers.others.some((peer) => peers.usable(peer));
    this.#replica.isolated = isAlone;
    const sinceMs = this.#aloneSinceMs;
    this.#aloneSinceMs = isAlone ? (sinceMs ?? nowMs) : undefined;
    if (isAlone || this.#replica.barred !== undefined) return;
    const wasAloneMs = sinceMs === undefined ? 0 : nowMs - sinceMs;
    if (Math.max(stoppedMs, wasAloneMs) < ALONE_MS_MAX) return;
    const missed = peers.others.map((peer) => this.#fetchMissed(peer));
    this.#replica.catchUpUntil(Promise.all(missed).then(() => {}));
  }

  /** Resolves when what the peer's pipeline held back has come, or has been found by comparing. */
  async #fetchMissed(peer: number): Promise<void> {
    while (!this.#stopped) {
      const reply = await this.#ask(peer).catch(() => undefined);
      if (reply === undefined) return; // gone again: this replica is no better informed than it
      if (reply.pipelineGap) return this.#repair.compareLater(peer);
      if (reply.pipelineBacklog <= SMALL_BACKLOG) return;
      await rest(BACKLOG_POLL_MS);
    }
  }

  #ask(peer: number): Promise<IntroduceReply> {
    return this.#replica.peers.call(peer, ReplicaService.introduce, this.#ownIntroduction());
  }

  async #introduce(peer: number): Promise<void> {
    for (
      let pauseMs = RETRY_FIRST_MS;
      !this.#stopped;
      pauseMs = Math.min(RETRY_LAST_MS, pauseMs * 2)
    ) {
      try {
        const reply = await this.#ask(peer);
        if (reply.refused !== "") this.#bar(reply.refused);
        else if (this.#meet(reply)) this.#welcomed(peer, reply.serving);
        return;
      } catch (error) {
        this.#replica.log.debug(
          { peer, reason: RpcError.from(error).message },
          "not introduced yet",
        );
        await rest(pauseMs);
      }
    }
  }

  #ownIntroduction(): IntroduceRequest {
    const { diskId, incarnation } = this.#identity;
    const { self, epoch } = this.#replica;
    return { replica: self.replica, diskId: Buffer.from(diskId, "hex"), incarnation, epoch };
  }

  #refused: string | undefined;

  #bar(reason: string): void {
    this.#refused = reason;
    this.#replica.barred = reason;
    setTrouble("kvsvr", `does not vote: ${reason}`);
    this.#replica.log.error({ reason }, "this replica may not vote: rebuild it as a new member");
  }

  /**
   * From now on this replica votes. Clients it serves at once in a group that starts as a whole;
   * when another one serves already, only after it has caught up: until then each of their calls
   * would wait for a fetch.
   */
  #welcomed(peer: number, othersServe: boolean): void {
    const isFirst = this.#replica.barred !== undefined;
    if (this.#refused === undefined) this.#replica.barred = undefined;
    const compared = this.#repair.compareLater(peer);
    if (othersServe && isFirst) this.#replica.catchUpUntil(compared);
  }

  /** Another replica introduces itself: judged by what is remembered of it. */
  introduced(request: IntroduceRequest): IntroduceReply {
    requireArgument(
      this.#replica.peers.others.includes(request.replica),
      `replica ${request.replica} is none of the two others of this group`,
    );
    const claimed = {
      diskId: Buffer.from(request.diskId).toString("hex"),
      incarnation: request.incarnation,
    };
    const remembered = this.#identity.met(request.replica);
    const judged = judgeIntroduction(remembered, claimed);
    const { self, epoch } = this.#replica;
    if (judged.verdict === "welcome") {
      this.#identity.remember(request.replica, claimed);
      // It restarted: its pipeline to us began anew, what it had not sent is found by comparing.
      if (remembered !== undefined && claimed.incarnation > remembered.incarnation) {
        void this.#repair.compareLater(request.replica);
      }
    } else
      this.#replica.log.warn(
        { replica: request.replica, reason: judged.reason },
        "a replica was refused",
      );
    const outbox = this.#replica.outbox(request.replica);
    return {
      replica: self.replica,
      diskId: Buffer.from(this.#identity.diskId, "hex"),
      incarnation: this.#identity.incarnation,
      epoch,
      rememberedDiskId: Buffer.from(remembered?.diskId ?? "", "hex"),
      rememberedIncarnation: remembered?.incarnation ?? 0,
      refused: judged.verdict === "refused" ? judged.reason : "",
      serving: this.#replica.isServing,
      pipelineBacklog: outbox.backlog,
      pipelineGap: outbox.hasGap,
    };
  }

  #meet(reply: IntroduceReply): boolean {
    const claimed = {
      diskId: Buffer.from(reply.diskId).toString("hex"),
      incarnation: reply.incarnation,
    };
    const judged = judgeIntroduction(this.#identity.met(reply.replica), claimed);
    if (judged.verdict === "refused") {
      this.#replica.log.warn(
        { replica: reply.replica, reason: judged.reason },
        "a replica answered that is not the one known",
      );
      return false;
    }
    this.#identity.remember(reply.replica, claimed);
    return true;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }
}
