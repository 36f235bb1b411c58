/**
 * Writes: one proposer a key at a time decides the next version, and the waiting writes ride on it.
 *
 *   waiting writes -> compose (pure) -> fast or prepared ballot -> votes -> decided -> answers
 *
 * A write is answered when its version is durable at two replicas. The third learns it through the
 * pipeline. What this replica finds half done it finishes before it proposes anything of its own.
 */
import type {
  Ballot,
  Decision,
  Owner,
  VoteReply,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError } from "../svrkit/errors.ts";
import { counter } from "../svrkit/monitors/registry.ts";
import {
  DUEL_PAUSE_MS,
  HEDGE_MS,
  HEDGE_MS_MAX,
  PACK_BYTES_MAX,
  PACK_CHANGES_MAX,
  WAITING_PER_KEY_MAX,
} from "./limits.ts";
import { compareBallots, isSameOwner, NO_BALLOT, REPLICAS } from "./protocol/ballot.ts";
import type { Composed } from "./protocol/compose.ts";
import { withDigest } from "./protocol/digest.ts";
import {
  type Answer,
  chooseWay,
  judge,
  readAnswer,
  type Verdict,
  valueToFinish,
} from "./protocol/proposer.ts";
import type { Known } from "./protocol/register.ts";
import type { Repair } from "./repair.ts";
import type { Replica } from "./replica.ts";
import type { Entry } from "./storage/state.ts";

const decided = counter("kvsvr.versions_decided");
const fastDecided = counter("kvsvr.fast_path");
const hedges = counter("kvsvr.accept_hedges");

/** One waiting write, of a kind that `compose` knows how to pack. */
export interface Write {
  readonly deadlineMs: number;
  readonly bytes: number;
  /** Sends the write to the replica that is ahead; undefined when it came from there. */
  readonly forward: ((owner: Owner) => Promise<void>) | undefined;
  reject(error: RpcError): void;
}

/** How a kind of write is packed and answered; one for keys, one for tables (handlers.ts). */
export interface Packing<W extends Write> {
  /** How many waiting writes one version can take. */
  readonly most: number;
  compose(entry: Entry, writes: readonly W[]): Composed<unknown>;
  answer(write: W, outcome: Composed<unknown>["outcomes"][number]): void;
}

interface Queue {
  readonly entry: Entry;
  readonly waiting: { write: Write; packing: Packing<Write> }[];
  /** Resolves when the version under way is settled. */
  turn: Promise<void>;
}

type Ahead = Extract<Verdict, { verdict: "overtaken" }>;

export class Proposals {
  readonly #replica: Replica;
  readonly #repair: Repair;
  readonly #queues = new Map<string, Queue>();
  /** Set by reads.ts: resolves when what is held here is the newest version. */
  confirmNewest: (entry: Entry, deadlineMs: number) => Promise<void> = () => Promise.resolve();

  constructor(replica: Replica, repair: Repair) {
    this.#replica = replica;
    this.#repair = repair;
  }

  submit<W extends Write>(entry: Entry, packing: Packing<W>, write: W): void {
    const queue = this.#queues.get(entry.name);
    const item = { write, packing: packing as unknown as Packing<Write> };
    if (queue !== undefined) {
      if (queue.waiting.length >= WAITING_PER_KEY_MAX) {
        write.reject(
          new RpcError(
            "RESOURCE_EXHAUSTED",
            `${WAITING_PER_KEY_MAX} writes wait for this key; slow down`,
          ),
        );
        return;
      }
      queue.waiting.push(item);
      return;
    }
    const fresh: Queue = { entry, waiting: [item], turn: Promise.resolve() };
    this.#queues.set(entry.name, fresh);
    entry.pins += 1;
    void this.#run(fresh);
  }

  /** The version that this replica is deciding for the key right now, if any. */
  underWay(entry: Entry): Promise<void> | undefined {
    return this.#queues.get(entry.name)?.turn;
  }

  async #run(queue: Queue): Promise<void> {
    while (queue.waiting.length > 0) {
      const packing = queue.waiting[0]!.packing;
      const writes = takePack(queue, packing);
      queue.turn = this.#settle(queue.entry, packing, writes);
      await queue.turn;
    }
    queue.entry.pins -= 1;
    this.#queues.delete(queue.entry.name);
  }

  /** Decides one pack of writes and answers each; never rejects. */
  async #settle(entry: Entry, packing: Packing<Write>, writes: readonly Write[]): Promise<void> {
    try {
      const outcomes = await this.#decide(entry, packing, writes);
      if (outcomes === undefined) return; // forwarded: answered by the one that is ahead
      for (const [index, write] of writes.entries()) packing.answer(write, outcomes[index]!);
    } catch (error) {
      const failure = RpcError.from(error);
      if (!(error instanceof RpcError))
        this.#replica.log.error({ err: error }, "a proposal failed unexpectedly");
      for (const write of writes) write.reject(failure);
    }
  }

  async #decide(
    entry: Entry,
    packing: Packing<Write>,
    writes: readonly Write[],
  ): Promise<Composed<unknown>["outcomes"] | undefined> {
    const deadlineMs = Math.max(...writes.map((write) => write.deadlineMs));
    let seen = NO_BALLOT;
    let mayForward = writes.every((write) => write.forward !== undefined);
    for (let attempt = 0; ; attempt++) {
      if (monotonicMs() > deadlineMs)
        throw new RpcError("NO_QUORUM", "no two replicas agreed before the deadline");
      const way = chooseWay(entry.register, this.#replica.self, seen);
      if (way.way === "fetch") {
        await this.#repair.fetch(entry);
        continue;
      }
      const composed = packing.compose(entry, writes);
      if (composed.body === undefined) {
        if (await this.#confirm(entry, composed, deadlineMs)) return composed.outcomes;
        continue;
      }
      const base = entry.register.known;
      const own = this.#ownDecision(base, composed.body);
      const verdict =
        way.way === "fast"
          ? await this.#accept(entry, { ballot: way.ballot, base, decision: own })
          : await this.#prepared(entry, { ballot: way.ballot, base, own });
      if (verdict === "own") return composed.outcomes;
      if (verdict === "foreign") continue;
      if (verdict.verdict === "noQuorum") {
        this.#requireDisk();
        await pause(attempt, deadlineMs, `fewer than two replicas could vote (${verdict.reason})`);
        continue;
      }
      if (compareBallots(verdict.promised, seen) > 0) seen = verdict.promised;
      this.#learnAhead(entry, verdict);
      if (mayForward && (await this.#forward(writes, verdict))) return undefined;
      mayForward = false;
      await pause(attempt, deadlineMs, "other proposers kept being faster");
    }
  }

  /** With a disk that takes no writes this replica cannot lead anything: another one may. */
  #requireDisk(): void {
    const { refusing } = this.#replica.state;
    if (refusing === undefined) return;
    throw new RpcError(
      "STORAGE_REFUSED",
      `the disk takes no writes (${refusing}): free space or make it writable`,
    );
  }

  /** Nothing is to be written: true once the base is known to be the newest version. */
  async #confirm(entry: Entry, composed: Composed<unknown>, deadlineMs: number): Promise<boolean> {
    const { version } = entry.register.known;
    await this.confirmNewest(entry, deadlineMs);
    return entry.register.known.version === version || composed.outcomes.length === 0;
  }

  #ownDecision(base: Known, body: Decision["body"]): Decision {
    return withDigest({ version: base.version + 1, owner: this.#replica.self, digest: 0, body });
  }

  /** Phase one, then phase two with what it found or, when it found nothing, with our own value. */
  async #prepared(
    entry: Entry,
    attempt: { ballot: Ballot; base: Known; own: Decision | undefined },
  ) {
    const { ballot, base, own } = attempt;
    const { version, digest: baseDigest } = base;
    const { peers, epoch } = this.#replica;
    const request = { key: entry.key, version: version + 1, ballot, baseDigest, epoch };
    const promise = this.#ownVote(entry, {
      kind: "prepare",
      version: version + 1,
      ballot,
      baseDigest,
    });
    const { verdict, answers } = await this.#collect(entry, promise, 0, (peer) =>
      peers.vote(peer, { proposal: { case: "prepare", value: request } }, 0),
    );
    if (verdict.verdict !== "majority")
      return verdict as Exclude<Verdict, { verdict: "wait" | "majority" }>;
    const found = valueToFinish(answers);
    const value = found ?? own;
    if (value === undefined) return "foreign" as const;
    const verdictOfAccept = await this.#accept(entry, { ballot, base, decision: value });
    return verdictOfAccept === "own" && value !== own ? ("foreign" as const) : verdictOfAccept;
  }

  /** Phase two. "own": the value is decided here and on its way to the third. */
  async #accept(entry: Entry, attempt: { ballot: Ballot; base: Known; decision: Decision }) {
    const { ballot, decision } = attempt;
    const baseDigest = attempt.base.digest;
    const { peers, epoch } = this.#replica;
    const request = { key: entry.key, ballot, decision, baseDigest, epoch };
    const bytes = sizeOf(decision);
    const own = this.#ownVote(entry, { kind: "accept", ballot, decision, baseDigest });
    const { verdict, answers } = await this.#collect(entry, own, this.#hedgeMs(), (peer) =>
      peers.vote(peer, { proposal: { case: "accept", value: request } }, bytes),
    );
    if (verdict.verdict !== "majority")
      return verdict as Exclude<Verdict, { verdict: "wait" | "majority" }>;
    decided.value += 1;
    if (ballot.round === 0) fastDecided.value += 1;
    this.#publish(entry, decision, baseDigest, answers);
    return "own" as const;
  }

  #hedgeMs(): number {
    return Math.min(HEDGE_MS_MAX, Math.max(HEDGE_MS, this.#voteMs * 3));
  }

  /** Moving average of how long a peer's vote takes. */
  #voteMs = 0;

  /**
   * This replica's own vote, durable like any other. It is taken before anything is sent, or throws:
   * the register is what keeps this start of the replica from using one ballot for two values.
   */
  #ownVote(entry: Entry, input: Parameters<Replica["take"]>[1]): Promise<Answer> {
    const { vote } = this.#replica.take(entry, input);
    if (vote?.granted !== true) {
      const { known, promised } = entry.register;
      const { version, digest, owner } = known;
      return Promise.resolve({ answer: "refused", version, digest, owner, promised });
    }
    return this.#replica.state.durable(entry).then(
      () => ({ answer: "granted", accepted: vote.accepted }),
      (error: unknown) => ({ answer: "none", reason: RpcError.from(error).message }),
    );
  }

  /**
   * Collects votes until they decide. `hedgeMs` 0 asks both others at once; otherwise the preferred
   * one, and the third when that one refuses, fails or has not answered for so long.
   */
  #collect(
    entry: Entry,
    own: Promise<Answer>,
    hedgeMs: number,
    ask: (peer: number) => Promise<VoteReply>,
  ): Promise<{ verdict: Verdict; answers: (Answer | undefined)[] }> {
    const answers: (Answer | undefined)[] = new Array(REPLICAS).fill(undefined);
    const [first, second] = this.#replica.peers.preference(entry.registerKey);
    return new Promise((resolve) => {
      let settled = false;
      let asked = 1;
      let timer: NodeJS.Timeout | undefined;
      const take = (replica: number, answer: Answer) => {
        answers[replica] = answer;
        if (settled) return;
        const verdict = judge(answers);
        if (verdict.verdict !== "wait") {
          settled = true;
          clearTimeout(timer);
          resolve({ verdict, answers });
        } else if (answer.answer === "none") askSecond();
      };
      const startedMs = monotonicMs();
      const send = (peer: number) =>
        ask(peer).then(
          (reply) => {
            if (peer === first) this.#voteMs += (monotonicMs() - startedMs - this.#voteMs) / 32;
            take(peer, readAnswer(reply));
          },
          (error: unknown) => take(peer, { answer: "none", reason: RpcError.from(error).message }),
        );
      const askSecond = () => {
        if (asked > 1 || settled) return;
        asked = 2;
        if (hedgeMs > 0) hedges.value += 1;
        void send(second);
      };
      void own.then((answer) => take(this.#replica.self.replica, answer));
      void send(first);
      if (hedgeMs === 0) askSecond();
      else timer = setTimeout(askSecond, hedgeMs);
    });
  }

  /** Decided: said here, and to the others through the pipeline; the value to whom did not vote. */
  #publish(
    entry: Entry,
    decision: Decision,
    baseDigest: number,
    answers: readonly (Answer | undefined)[],
  ): void {
    const { version, digest } = decision;
    // The copy that the log made outlives the caller's request buffer.
    const owned = entry.register.accepted?.decision;
    const value = owned?.digest === digest ? owned : decision;
    this.#replica.take(entry, { kind: "notice", version, digest });
    for (const peer of this.#replica.peers.others) {
      const outbox = this.#replica.outbox(peer);
      if (answers[peer]?.answer === "granted") {
        outbox.push(
          { key: entry.key, item: { case: "notice", value: { version, digest } }, baseDigest },
          0,
        );
      } else {
        outbox.push(
          { key: entry.key, item: { case: "decision", value }, baseDigest },
          sizeOf(decision),
        );
      }
    }
  }

  #learnAhead(entry: Entry, ahead: Ahead): void {
    if (ahead.version > entry.register.known.version) {
      this.#replica.take(entry, { kind: "notice", version: ahead.version, digest: ahead.digest });
    }
  }

  /** S7: once, to the replica that decided the version we did not know. True when that answered. */
  async #forward(writes: readonly Write[], ahead: Ahead): Promise<boolean> {
    const { owner } = ahead;
    if (owner === undefined || owner.incarnation === 0 || isSameOwner(owner, this.#replica.self))
      return false;
    if (owner.replica === this.#replica.self.replica || !this.#replica.peers.usable(owner.replica))
      return false;
    try {
      await Promise.all(writes.map((write) => write.forward!(owner)));
      return true;
    } catch {
      return false; // it may be the one that just died: take over
    }
  }

  /** Finishes a value that may be half decided, proposing nothing of our own. */
  async finish(entry: Entry): Promise<void> {
    const way = chooseWay(entry.register, this.#replica.self, NO_BALLOT);
    if (way.way === "fetch") return this.#repair.fetch(entry);
    const ballot = way.way === "prepare" ? way.ballot : { round: 1, proposer: way.ballot.proposer };
    const verdict = await this.#prepared(entry, {
      ballot,
      base: entry.register.known,
      own: undefined,
    });
    if (typeof verdict === "string") return;
    if (verdict.verdict === "overtaken") this.#learnAhead(entry, verdict);
    await new Promise<void>((resolve) => setTimeout(resolve, Math.random() * DUEL_PAUSE_MS));
  }
}

function takePack(queue: Queue, packing: Packing<Write>): Write[] {
  const most = Math.min(packing.most, PACK_CHANGES_MAX);
  const writes: Write[] = [];
  let bytes = 0;
  for (let next = queue.waiting[0]; next !== undefined; next = queue.waiting[0]) {
    if (next.packing !== packing || writes.length >= most) break;
    if (writes.length > 0 && bytes + next.write.bytes > PACK_BYTES_MAX) break;
    queue.waiting.shift();
    writes.push(next.write);
    bytes += next.write.bytes;
  }
  return writes;
}

function sizeOf(decision: Decision): number {
  if (decision.body?.case === "key") return decision.body.value.value.length;
  let bytes = 0;
  for (const row of decision.body?.value.rows ?? []) bytes += row.row.length + row.value.length;
  return bytes;
}

/** A jittered, growing pause; throws NO_QUORUM when the deadline would pass in it. */
async function pause(attempt: number, deadlineMs: number, why: string): Promise<void> {
  const ms = Math.random() * DUEL_PAUSE_MS * Math.min(attempt + 1, 8);
  if (monotonicMs() + ms >= deadlineMs) throw new RpcError("NO_QUORUM", why);
  await new Promise<void>((resolve) => setTimeout(resolve, ms));
}
