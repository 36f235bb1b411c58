/**
 * Meeting the others (S3): at every start a replica introduces itself to both. Until one of them
 * welcomes it, it neither votes nor serves; when one refuses it, it stays barred and says why.
 */
import {
  type IntroduceReply,
  type IntroduceRequest,
  Replica as ReplicaService,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { setTrouble } from "../svrkit/monitors/trouble.ts";
import { type Identity, judgeIntroduction } from "./identity.ts";
import type { Repair } from "./repair.ts";
import type { Replica } from "./replica.ts";

const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 1_000;
const CATCH_UP_MS_MAX = 60_000;

export class Membership {
  readonly #replica: Replica;
  readonly #identity: Identity;
  readonly #repair: Repair;
  #stopped = false;

  constructor(replica: Replica, identity: Identity, repair: Repair) {
    this.#replica = replica;
    this.#identity = identity;
    this.#repair = repair;
  }

  start(): void {
    for (const peer of this.#replica.peers.others) void this.#introduce(peer);
  }

  async #introduce(peer: number): Promise<void> {
    for (
      let pauseMs = RETRY_FIRST_MS;
      !this.#stopped;
      pauseMs = Math.min(RETRY_LAST_MS, pauseMs * 2)
    ) {
      try {
        const reply = await this.#replica.peers.call(
          peer,
          ReplicaService.introduce,
          this.#ownIntroduction(),
        );
        if (reply.refused !== "") this.#bar(reply.refused);
        else if (this.#meet(reply)) await this.#welcomed(peer, reply.serving);
        return;
      } catch (error) {
        this.#replica.log.debug(
          { peer, reason: RpcError.from(error).message },
          "not introduced yet",
        );
        await new Promise<void>((resolve) => setTimeout(resolve, pauseMs));
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
   * when another one serves already, only after it has caught up, or after CATCH_UP_MS_MAX: until
   * then each of their calls would wait for a fetch.
   */
  async #welcomed(peer: number, othersServe: boolean): Promise<void> {
    if (othersServe && this.#replica.barred !== undefined) this.#replica.catchUp(CATCH_UP_MS_MAX);
    if (this.#refused === undefined) this.#replica.barred = undefined;
    await this.#repair.compareLater(peer);
    this.#replica.caughtUp();
  }

  /** Another replica introduces itself: judged by what is remembered of it. */
  introduced(request: IntroduceRequest): IntroduceReply {
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
    return {
      replica: self.replica,
      diskId: Buffer.from(this.#identity.diskId, "hex"),
      incarnation: this.#identity.incarnation,
      epoch,
      rememberedDiskId: Buffer.from(remembered?.diskId ?? "", "hex"),
      rememberedIncarnation: remembered?.incarnation ?? 0,
      refused: judged.verdict === "refused" ? judged.reason : "",
      serving: this.#replica.isServing,
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
  }
}
