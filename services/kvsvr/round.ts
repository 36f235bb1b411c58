/**
 * One round of votes: this replica's own and those of the others, until they decide. Prepares ask
 * both others at once; Accepts the preferred one, and the third when that one refuses, fails or is
 * silent for longer than a hedge.
 */
import type { VoteReply } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import type { Hedged, Hedges } from "./hedges.ts";
import { HEDGE_MS, HEDGE_MS_MAX } from "./limits.ts";
import type { TracedProposal } from "./peers.ts";
import { REPLICAS } from "./protocol/ballot.ts";
import { planted } from "./protocol/planted.ts";
import { type Answer, judge, readAnswer, type Verdict } from "./protocol/proposer.ts";
import type { Input, Step } from "./protocol/register.ts";
import type { Replica } from "./replica.ts";
import type { Entry } from "./storage/entry.ts";
import type { Waiter } from "./storage/log.ts";
import type { Asker } from "./turn-batch.ts";

export const EPOCH_IS_OVER = "the group's epoch ended meanwhile";

const hedgesSent = monitorId("kvsvr.accept_hedges");

export type Settled = Exclude<Verdict, { verdict: "wait" }>;
export type Answers = readonly (Answer | undefined)[];

/** What rounds of one replica share. */
export class Rounds {
  readonly replica: Replica;
  readonly hedges: Hedges;
  /** Moving average of how long a preferred peer's vote takes. */
  #voteMs = 0;

  constructor(replica: Replica, hedges: Hedges) {
    this.replica = replica;
    this.hedges = hedges;
  }

  get hedgeMs(): number {
    return Math.min(HEDGE_MS_MAX, Math.max(HEDGE_MS, this.#voteMs * 3));
  }

  took(ms: number): void {
    this.#voteMs += (ms - this.#voteMs) / 32;
  }
}

export class Round implements Waiter, Asker<VoteReply>, Hedged {
  readonly #rounds: Rounds;
  readonly #entry: Entry;
  readonly #proposal: TracedProposal;
  readonly #done: (verdict: Settled, answers: Answers) => void;
  readonly #answers: (Answer | undefined)[] = new Array(REPLICAS).fill(undefined);
  readonly #startedMs = monotonicMs();
  readonly #epoch: number;
  readonly #first: number;
  readonly #second: number;
  #accepted: Step["vote"];
  #askedSecond = false;
  settled = false;

  /** `done` hears once, never before the constructor's caller has called `start`. */
  constructor(
    rounds: Rounds,
    entry: Entry,
    proposal: TracedProposal,
    done: (verdict: Settled, answers: Answers) => void,
  ) {
    this.#rounds = rounds;
    this.#entry = entry;
    this.#proposal = proposal;
    this.#done = done;
    this.#epoch = rounds.replica.epoch;
    [this.#first, this.#second] = rounds.replica.peers.preference(entry.registerKey);
  }

  /**
   * Takes this replica's own vote, durable like any other, and asks the others. The own vote is taken
   * before anything is sent, or this throws: the register is what keeps one start of the replica from
   * using one ballot for two values.
   */
  start(input: Input, hedged: boolean): void {
    const { replica, hedges, hedgeMs } = this.#rounds;
    const { vote } = planted("own-vote-not-taken")
      ? { vote: { granted: true, accepted: undefined } }
      : replica.take(this.#entry, input);
    if (vote?.granted !== true) {
      const { known, promised } = this.#entry.register;
      const { version, digest, owner } = known;
      this.#take(replica.self.replica, { answer: "refused", version, digest, owner, promised });
      return;
    }
    this.#accepted = vote;
    replica.state.whenDurable(this.#entry.logged, this);
    this.#ask(this.#first);
    if (hedged) hedges.add(this, this.#startedMs, hedgeMs);
    else this.#askSecond();
  }

  durable(): void {
    const accepted = this.#accepted?.accepted;
    this.#take(this.#rounds.replica.self.replica, { answer: "granted", accepted });
  }

  refused(error: RpcError): void {
    this.#take(this.#rounds.replica.self.replica, { answer: "none", reason: error.message });
  }

  answered(peer: number, reply: VoteReply): void {
    if (peer === this.#first) this.#rounds.took(monotonicMs() - this.#startedMs);
    this.#take(peer, readAnswer(reply));
  }

  failed(peer: number, error: unknown): void {
    this.#take(peer, { answer: "none", reason: RpcError.from(error).message });
  }

  hedge(): void {
    if (!this.#askedSecond) monitor.add(hedgesSent, 1);
    this.#askSecond();
  }

  #ask(peer: number): void {
    const { decision, key } = this.#proposal;
    const bytes = decision.length + (key?.key.length ?? 0);
    this.#rounds.replica.peers.vote(peer, this.#proposal, bytes, this);
  }

  #askSecond(): void {
    if (this.#askedSecond) return;
    this.#askedSecond = true;
    this.#ask(this.#second);
  }

  #take(replica: number, heard: Answer): void {
    // Votes of different epochs never combine (S3).
    const isOver = this.#rounds.replica.epoch !== this.#epoch;
    const answer: Answer = isOver ? { answer: "none", reason: EPOCH_IS_OVER } : heard;
    this.#answers[replica] = answer;
    if (this.settled) return;
    const verdict = judge(this.#answers);
    if (verdict.verdict !== "wait") {
      this.settled = true;
      this.#done(verdict, this.#answers);
    } else if (answer.answer === "none") this.#askSecond();
  }
}
