/**
 * Meeting the others (S3): at every start a replica introduces itself to both. Until one of them
 * welcomes it, it neither votes nor serves; when one refuses it, it stays barred and says why.
 *
 * Being alone: a replica that reaches neither of the others refuses clients at once, so that they go
 * elsewhere. When it was alone or stopped for longer than a moment, it has missed changes: it votes
 * again at once, and serves clients when it has caught up.
 *
 * While its log grows it tells both others how far, who remember it durably: so an older copy put back
 * is noticed when it lacks more than the last few seconds.
 */
import {
  type AdmitReply,
  type AdmitRequest,
  type DiskMemory,
  type IntroduceReply,
  type IntroduceRequest,
  Replica as ReplicaService,
  type Admission as ToldAdmission,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import { comparePositions, type Position } from "../svrkit/known-disk.ts";
import { setTrouble } from "../svrkit/monitors/trouble.ts";
import { rest } from "../svrkit/rest.ts";
import type { Copy } from "./copy.ts";
import { endAlone, settle } from "./force.ts";
import type { GroupEpoch } from "./group-epoch.ts";
import { DISK_ID_BYTES, type Identity } from "./identity.ts";
import { ALONE_MS_MAX, STARTS_TOLD_MAX } from "./limits.ts";
import { type Admission, judgeAdmission } from "./protocol/admission.ts";
import { type Claim, judgeIntroduction, metAfter } from "./protocol/introduction.ts";
import { eraOf } from "./protocol/keeper.ts";
import type { Repair } from "./repair.ts";
import type { Replica } from "./replica.ts";

const RETRY_FIRST_MS = 50;
const RETRY_LAST_MS = 1_000;
const WATCH_MS = 200;
/** A backlog that is delivered within a moment. */
const SMALL_BACKLOG = 1_000;
const BACKLOG_POLL_MS = 200;
/** Each costs two small files synced elsewhere; what is written in between is not noticed to be gone. */
const TELL_MS = 5_000;
/** While this replica catches up the others are asked so often whether they serve. */
const ASK_SERVING_MS = 1_000;
/** An epoch further above than so many rebuilds is a mistake. */
const EPOCH_STEP_MAX = 1_000;
const BEING_REBUILT = "it is being rebuilt as a new member and copies from the other replicas";
const CONSENT_RETRY_MS = 500;
/** Why a disk of an earlier era does not vote, in this run and in every later one. */
export const EXCLUDED =
  "the group was forced from another replica, and this disk is no member of it any more";

export interface MembershipParts {
  readonly replica: Replica;
  readonly identity: Identity;
  readonly group: GroupEpoch;
  readonly repair: Repair;
  /** Set in a new member that must copy everything before it may vote (S3). */
  readonly copy: Copy | undefined;
  readonly onCopied: () => void;
}

export class Membership {
  readonly #replica: Replica;
  readonly #identity: Identity;
  readonly #group: GroupEpoch;
  readonly #repair: Repair;
  readonly #copied: () => void;
  /** Undefined in a full member of the group. */
  #copy: Copy | undefined;
  /** The others that have welcomed this new member. */
  readonly #welcomedBy = new Set<number>();
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #watchedMs = 0;
  #aloneSinceMs: number | undefined;
  /** The others that said, during this catching up, that they do not serve clients. */
  readonly #notServing = new Set<number>();
  #askedServingMs = 0;
  #teller: NodeJS.Timeout | undefined;
  #told: Position = { segment: 0, bytes: 0 };

  constructor({ replica, identity, group, repair, copy, onCopied }: MembershipParts) {
    this.#replica = replica;
    this.#identity = identity;
    this.#group = group;
    this.#repair = repair;
    this.#copy = copy;
    this.#copied = onCopied;
    const { admission } = group;
    if (admission !== undefined && admission.replica !== replica.self.replica)
      identity.expect(admission.replica, admission.diskId);
    if (copy === undefined) return;
    replica.barred = BEING_REBUILT;
    setTrouble("kvsvr", BEING_REBUILT);
  }

  start(): void {
    if (this.#group.keeper !== undefined) void this.#keep();
    for (const peer of this.#replica.peers.others) void this.#introduce(peer);
    this.#watchedMs = monotonicMs();
    this.#timer = setInterval(() => this.#watch(), WATCH_MS);
    this.#told = this.#replica.state.reach;
    this.#teller = setInterval(() => this.#tell(), TELL_MS);
  }

  /** A keeper that nobody has copied yet needs nobody's welcome: the group is what it says. */
  async #keep(): Promise<void> {
    while (!this.#stopped) {
      try {
        await settle(this.#replica, this.#group);
        return;
      } catch (error) {
        this.#replica.log.error({ err: error }, "what is kept is not settled yet");
        await rest(RETRY_LAST_MS);
      }
    }
  }

  /** It keeps the group and nobody else is full: a write would be in one campus only. */
  get #isSole(): boolean {
    return this.#group.keeper?.full.length === 0;
  }

  #tell(): void {
    const { reach } = this.#replica.state;
    if (comparePositions(reach, this.#told) === 0) return;
    this.#told = reach;
    for (const peer of this.#replica.peers.others) {
      this.#ask(peer).catch(() => {}); // told again when more was written
    }
  }

  #watch(): void {
    const nowMs = monotonicMs();
    const stoppedMs = nowMs - this.#watchedMs;
    this.#watchedMs = nowMs;
    const { peers } = this.#replica;
    const isAlone = this.#isSole || !peers.others.some((peer) => peers.usable(peer));
    this.#replica.isolated = isAlone;
    this.#watchServing(nowMs);
    const sinceMs = this.#aloneSinceMs;
    this.#aloneSinceMs = isAlone ? (sinceMs ?? nowMs) : undefined;
    if (isAlone || this.#replica.barred !== undefined) return;
    const wasAloneMs = sinceMs === undefined ? 0 : nowMs - sinceMs;
    if (Math.max(stoppedMs, wasAloneMs) < ALONE_MS_MAX) return;
    const missed = peers.others.map((peer) => this.#fetchMissed(peer));
    this.#replica.catchUpUntil(Promise.all(missed).then(() => {}));
  }

  /** Two that catch up must not leave clients to each other, nor to one that is gone. */
  #watchServing(nowMs: number): void {
    const replica = this.#replica;
    if (!replica.isCatchingUp) {
      this.#notServing.clear();
      replica.othersServe = true;
      return;
    }
    const { peers } = replica;
    const serves = (peer: number) => peers.usable(peer) && !this.#notServing.has(peer);
    replica.othersServe = peers.others.some(serves);
    if (nowMs - this.#askedServingMs < ASK_SERVING_MS) return;
    this.#askedServingMs = nowMs;
    for (const peer of peers.others) {
      this.#ask(peer).then(
        ({ serving }) => (serving ? this.#notServing.delete(peer) : this.#notServing.add(peer)),
        () => {}, // gone: not usable, or asked again
      );
    }
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

  async #ask(peer: number): Promise<IntroduceReply> {
    const request = this.#ownIntroduction();
    const reply = await this.#replica.peers.call(peer, ReplicaService.introduce, request);
    if (reply.refused === "" || this.#stopped) return reply;
    // What an excluded disk remembers of this one counts for nothing.
    if (eraOf(reply.epoch) < eraOf(this.#group.epoch)) return reply;
    if (eraOf(reply.epoch) > eraOf(this.#group.epoch)) this.#hear(admissionOf(reply.admission));
    this.#bar(reply.refused);
    return reply;
  }

  async #introduce(peer: number): Promise<void> {
    for (
      let pauseMs = RETRY_FIRST_MS;
      !this.#stopped;
      pauseMs = Math.min(RETRY_LAST_MS, pauseMs * 2)
    ) {
      try {
        const reply = await this.#ask(peer);
        if (reply.refused !== "") return;
        if (await this.#meet(reply)) this.#welcomed(peer, reply.serving);
        await this.#identity.knownTo(peer);
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
    return {
      replica: self.replica,
      diskId: Buffer.from(diskId, "hex"),
      incarnation,
      epoch,
      memory: this.#memory(),
      admission: this.#admission(),
    };
  }

  #memory(): DiskMemory {
    const { start, before } = this.#identity;
    return {
      nonce: Buffer.from(start.nonce, "hex"),
      before: before.map(({ incarnation, nonce }) => ({
        incarnation,
        nonce: Buffer.from(nonce, "hex"),
      })),
      ...this.#replica.state.reach,
    };
  }

  #refused: string | undefined;

  #bar(reason: string): void {
    if (this.#refused !== undefined) return;
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
    this.#welcomedBy.add(peer);
    if (this.#copy !== undefined) {
      const { sources } = this.#copy;
      if (sources.every((other) => this.#welcomedBy.has(other))) void this.#rebuild(this.#copy);
      return;
    }
    const isFirst = this.#replica.barred !== undefined;
    const isSettling = this.#group.keeper?.settled === false;
    if (this.#refused === undefined && !isSettling) this.#replica.barred = undefined;
    const compared = this.#repair.compareLater(peer);
    if (othersServe && isFirst) this.#replica.catchUpUntil(compared);
  }

  /** Copies everything, then votes; clients it serves when it has heard what happened meanwhile. */
  async #rebuild(copy: Copy): Promise<void> {
    if (this.#isCopying) return;
    this.#isCopying = true;
    if (!(await copy.run()) || !(await this.#tellKeeper(copy)) || this.#refused !== undefined)
      return;
    await this.#becomeFull();
    this.#copied();
    this.#copy = undefined;
    this.#replica.barred = undefined;
    setTrouble("kvsvr", undefined);
    this.#replica.log.info("rebuilt as a new member: this replica votes again");
    const compared = Promise.all(copy.sources.map((peer) => this.#repair.compareLater(peer)));
    this.#replica.catchUpUntil(compared.then(() => {}));
  }

  /** What is not here now is nowhere: the floors of the others are this one's, too. */
  async #becomeFull(): Promise<void> {
    const { slots, state, log } = this.#replica;
    while (slots.isFilling && !this.#stopped) {
      try {
        await state.commitAll();
        slots.becomeFull();
      } catch (error) {
        log.debug({ reason: RpcError.from(error).message }, "the copy is not on the disk yet");
        await rest(CONSENT_RETRY_MS);
      }
    }
  }

  /** True when the keeper, if all was copied from one, holds that this member is full. */
  async #tellKeeper({ sources }: Copy): Promise<boolean> {
    const { peers, self, log } = this.#replica;
    const [keeper] = sources;
    if (keeper === undefined || sources.length > 1) return true;
    const diskId = Buffer.from(this.#identity.diskId, "hex");
    while (!this.#stopped) {
      const admission = { epoch: this.#group.epoch, replica: self.replica, diskId };
      try {
        await peers.call(keeper, ReplicaService.admit, { admission, copied: true });
        return true;
      } catch (error) {
        log.debug({ reason: RpcError.from(error).message }, "the keeper does not consent yet");
        await rest(CONSENT_RETRY_MS);
      }
    }
    return false;
  }

  #isCopying = false;

  /** A replica that lost its memory asks to become a new member (rebuild.ts). */
  admit({ admission, copied }: AdmitRequest): AdmitReply {
    const { barred, self, peers } = this.#replica;
    if (barred !== undefined) {
      throw new RpcError("UNAVAILABLE", `replica ${self.replica} cannot admit another: ${barred}`);
    }
    // Both that admit a member tell it their floors: they have to be the same, and to stay so.
    if (this.#replica.slots.forgetting !== undefined)
      throw new RpcError("UNAVAILABLE", `replica ${self.replica} is forgetting tombstones: soon`);
    requireArgument(
      admission !== undefined && peers.others.includes(admission.replica),
      "the admission names none of the two others of this group",
    );
    requireArgument(
      admission.diskId.length === DISK_ID_BYTES,
      `a disk id of ${admission.diskId.length} bytes: it has ${DISK_ID_BYTES}`,
    );
    requireArgument(
      admission.epoch <= this.#group.epoch + EPOCH_STEP_MAX,
      `group epoch ${admission.epoch} is far above this replica's ${this.#group.epoch}`,
    );
    if (copied) this.#takeAsFull(admission);
    else if (admission.epoch > 0) this.#hear(admissionOf(admission));
    return {
      epoch: this.#group.epoch,
      admission: this.#admission(),
      rememberedIncarnation: this.#identity.met(admission.replica)?.incarnation ?? 0,
      keeper: this.#group.keeper !== undefined,
      slots: this.#replica.slots.text,
    };
  }

  /** A new member has copied all that this keeper holds. */
  #takeAsFull({ replica, diskId }: ToldAdmission): void {
    const { self, log } = this.#replica;
    if (this.#identity.met(replica)?.diskId !== hex(diskId)) {
      const message = `replica ${self.replica} has not admitted this disk as replica ${replica}`;
      throw new RpcError("FAILED_PRECONDITION", message);
    }
    const wasSole = this.#isSole;
    this.#group.copied(replica, hex(diskId));
    if (wasSole) endAlone();
    log.warn({ replica }, "a new member has copied everything and votes");
  }

  /** Holds an admission that is newer than what is held, and sees to it that the other one hears. */
  #hear(told: Admission | undefined): void {
    if (told === undefined) return;
    const verdict = judgeAdmission(this.#group, told);
    if (verdict === "excluded") {
      this.#group.exclude(told);
      this.#bar(EXCLUDED);
    }
    if (verdict !== "hold") return;
    const { self, peers, log } = this.#replica;
    if (told.replica === self.replica) {
      if (told.diskId !== this.#identity.diskId)
        this.#bar("a new member has taken its place in the group");
      return;
    }
    this.#group.hold(told);
    this.#identity.expect(told.replica, told.diskId);
    log.warn({ replica: told.replica, epoch: told.epoch }, "a new member of the group");
    for (const peer of peers.others) if (peer !== told.replica) void this.#introduce(peer);
  }

  #admission(): IntroduceReply["admission"] {
    const { admission } = this.#group;
    return admission && { ...admission, diskId: Buffer.from(admission.diskId, "hex") };
  }

  /** Another replica introduces itself: judged by what is remembered of it. */
  async introduced(request: IntroduceRequest): Promise<IntroduceReply> {
    if (this.#copy !== undefined) {
      this.#hear(admissionOf(request.admission));
      throw new RpcError(
        "UNAVAILABLE",
        "this replica cannot vouch for another: it is being rebuilt",
      );
    }
    requireArgument(
      this.#replica.peers.others.includes(request.replica),
      `replica ${request.replica} is none of the two others of this group`,
    );
    const claimed = claimOf(request);
    const remembered = this.#identity.met(request.replica);
    const isOfOldEra = eraOf(request.epoch) < eraOf(this.#group.epoch);
    const refused = isOfOldEra ? EXCLUDED : judgeIntroduction(remembered, claimed);
    const { self, log } = this.#replica;
    if (refused === undefined) {
      await this.#identity.remember(request.replica, metAfter(remembered, claimed));
      this.#hear(admissionOf(request.admission));
      // It restarted: its pipeline to us began anew, what it had not sent is found by comparing.
      if (remembered !== undefined && claimed.incarnation > remembered.incarnation) {
        void this.#repair.compareLater(request.replica);
      }
    } else log.warn({ replica: request.replica, reason: refused }, "a replica was refused");
    const outbox = this.#replica.outbox(request.replica);
    return {
      replica: self.replica,
      diskId: Buffer.from(this.#identity.diskId, "hex"),
      incarnation: this.#identity.incarnation,
      epoch: this.#group.epoch,
      rememberedDiskId: Buffer.from(remembered?.diskId ?? "", "hex"),
      rememberedIncarnation: remembered?.incarnation ?? 0,
      refused: refused ?? "",
      serving: this.#replica.isServing,
      pipelineBacklog: outbox.backlog,
      pipelineGap: outbox.hasGap,
      memory: this.#memory(),
      admission: this.#admission(),
    };
  }

  /** False: who answered is not the replica that this one knows. */
  async #meet(reply: IntroduceReply): Promise<boolean> {
    const claimed = claimOf(reply);
    const remembered = this.#identity.met(reply.replica);
    const isOfOldEra = eraOf(reply.epoch) < eraOf(this.#group.epoch);
    const refused = isOfOldEra ? EXCLUDED : judgeIntroduction(remembered, claimed);
    if (refused !== undefined) {
      this.#replica.log.warn(
        { replica: reply.replica, reason: refused },
        "a replica answered that is not the one known",
      );
      return false;
    }
    await this.#identity.remember(reply.replica, metAfter(remembered, claimed));
    this.#hear(admissionOf(reply.admission));
    return true;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    clearInterval(this.#teller);
  }
}

function claimOf(introduction: IntroduceRequest | IntroduceReply): Claim {
  const { diskId, incarnation, memory } = introduction;
  const before = memory?.before ?? [];
  requireArgument(
    before.length <= STARTS_TOLD_MAX,
    `${before.length} starts named: ${STARTS_TOLD_MAX} are allowed`,
  );
  return {
    diskId: hex(diskId),
    incarnation,
    nonce: hex(memory?.nonce ?? NO_BYTES),
    before: before.map((start) => ({ incarnation: start.incarnation, nonce: hex(start.nonce) })),
    segment: memory?.segment ?? 0,
    bytes: memory?.bytes ?? 0,
  };
}

function admissionOf(told: ToldAdmission | undefined): Admission | undefined {
  if (told === undefined) return undefined;
  return { epoch: told.epoch, replica: told.replica, diskId: hex(told.diskId) };
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
