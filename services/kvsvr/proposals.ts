/**
 * Writes: one proposer a key at a time decides the next version, and the waiting writes ride on it.
 *
 *   waiting writes -> compose (pure) -> fast or prepared ballot -> votes -> decided -> answers
 *
 * A write is answered when its version is durable at two replicas. The third learns it through the
 * pipeline. What this replica finds half done it finishes before it proposes anything of its own.
 *
 * The usual case, a fast ballot that gets its majority, runs on callbacks alone; everything else is
 * one loop of attempts (`#decide`).
 */

import type { Ballot, Owner } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { rest } from "../svrkit/rest.ts";
import { inTrace, sampledOrNone } from "../svrkit/tracing/context.ts";
import { mayBeDone, refusalOf } from "./forwarded.ts";
import { Hedges } from "./hedges.ts";
import { DUEL_PAUSE_MS, PACK_BYTES_MAX, PACK_CHANGES_MAX, WAITING_PER_KEY_MAX } from "./limits.ts";
import { compareBallots, NO_BALLOT } from "./protocol/ballot.ts";
import type { Composed } from "./protocol/compose.ts";
import { type Decision, sealDecision } from "./protocol/decision.ts";
import { planted } from "./protocol/planted.ts";
import { chooseWay, valueToFinish } from "./protocol/proposer.ts";
import type { Known } from "./protocol/register.ts";
import type { Repair } from "./repair.ts";
import type { Replica } from "./replica.ts";
import { type Answers, EPOCH_IS_OVER, Round, Rounds, type Settled } from "./round.ts";
import type { Entry } from "./storage/entry.ts";

/** A proposer that lost so often to one that goes on deciding does not try again. */
const LOST_MAX = 3;
/** So often is a write sent to who is ahead: one that has too much to do would be asked without end. */
const FORWARDS_MAX = 3;

const decided = monitorId("kvsvr.versions_decided");
const fastDecided = monitorId("kvsvr.fast_path");

/** One waiting write, of a kind that `compose` knows how to pack. */
export interface Write {
  readonly deadlineMs: number;
  readonly bytes: number;
  /** No earlier attempt under the same id can still be carried out, after this one is answered. */
  readonly isFirst: boolean;
  /** It was passed on to another replica, which has not said that nothing was done. */
  readonly mayBeDone: boolean;
  /** Trace context of its call. */
  readonly trace: Uint8Array;
  /** Sends the write to the replica that is ahead; undefined when another replica sent it here. */
  readonly forward: ((owner: Owner) => Promise<void>) | undefined;
  readonly forwarded: Forwarded;
  reject(error: RpcError): void;
}

/** How often a write was sent to who was ahead, and the newest version heard of when the last one failed. */
export interface Forwarded {
  readonly times: number;
  readonly version: number;
}

export const NOT_FORWARDED: Forwarded = { times: 0, version: -1 };

/** How a kind of write is packed and answered; one for keys, one for tables (handlers.ts). */
export interface Packing<W extends Write> {
  /** How many waiting writes one version can take. */
  readonly most: number;
  compose(entry: Entry, writes: readonly W[]): Composed<unknown>;
  answer(write: W, outcome: Composed<unknown>["outcomes"][number]): void;
}

export interface Queue {
  readonly entry: Entry;
  readonly waiting: { write: Write; packing: Packing<Write> }[];
  /** Told when the version under way is settled. */
  onSettled: (() => void)[];
}

/** One pack of writes on its way into a version. */
interface Pack {
  readonly packing: Packing<Write>;
  readonly writes: readonly Write[];
}

type Outcomes = Composed<unknown>["outcomes"];
type Ahead = Extract<Settled, { verdict: "overtaken" }>;
type Missed = Exclude<Settled, { verdict: "majority" }>;

export class Proposals {
  readonly #replica: Replica;
  readonly #repair: Repair;
  readonly #hedges = new Hedges();
  readonly #rounds: Rounds;
  /** Set by reads.ts: a version that is here, and as new as everything acknowledged before the call. */
  confirmNewest: (entry: Entry, deadlineMs: number) => Promise<number> = () => Promise.resolve(0);

  constructor(replica: Replica, repair: Repair) {
    this.#replica = replica;
    this.#repair = repair;
    this.#rounds = new Rounds(replica, this.#hedges);
  }

  submit<W extends Write>(entry: Entry, packing: Packing<W>, write: W): void {
    const { queue } = entry;
    if (this.#replica.state.damaged.isRenewed(entry.registerKey)) {
      write.reject(mayNotPropose());
      return;
    }
    const item = { write, packing: packing as unknown as Packing<Write> };
    if (queue !== undefined) {
      if (queue.waiting.length >= WAITING_PER_KEY_MAX) {
        const why = `${WAITING_PER_KEY_MAX} writes wait for this key; slow down`;
        write.reject(refusalOf(write, new RpcError("RESOURCE_EXHAUSTED", why)));
        return;
      }
      queue.waiting.push(item);
      return;
    }
    const fresh: Queue = { entry, waiting: [item], onSettled: [] };
    entry.queue = fresh;
    entry.pins += 1;
    this.#next(fresh);
  }

  /** The version that this replica is deciding for the key right now, if any. */
  underWay(entry: Entry): Promise<void> | undefined {
    const { queue } = entry;
    return queue && new Promise((resolve) => queue.onSettled.push(resolve));
  }

  #next(queue: Queue): void {
    const settled = queue.onSettled;
    if (settled.length > 0) {
      queue.onSettled = [];
      for (const tell of settled) tell();
    }
    const first = queue.waiting[0];
    if (first === undefined) {
      queue.entry.pins -= 1;
      queue.entry.queue = undefined;
      return;
    }
    const pack: Pack = { packing: first.packing, writes: takePack(queue, first.packing) };
    try {
      if (this.#startFast(queue, pack)) return;
    } catch (error) {
      this.#fail(pack, error);
      setImmediate(() => this.#next(queue));
      return;
    }
    void this.#decideSlowly(queue, pack, undefined);
  }

  /** The usual case: this replica owns the newest version. False when it is another one. */
  #startFast(queue: Queue, pack: Pack): boolean {
    const { entry } = queue;
    const way = chooseWay(entry.register, this.#replica.self, NO_BALLOT);
    if (way.way !== "fast") return false;
    const composed = pack.packing.compose(entry, pack.writes);
    if (composed.body === undefined) return false;
    const base = entry.register.known;
    const own = sealDecision(base.version + 1, this.#replica.self, composed.body);
    const trace = traceOf(pack.writes);
    this.#propose(entry, { ballot: way.ballot, base, decision: own, trace }, (verdict) => {
      if (verdict.verdict === "majority") {
        answerAll(pack, composed.outcomes);
        this.#next(queue);
      } else void this.#decideSlowly(queue, pack, verdict);
    });
    return true;
  }

  /** Decides one pack of writes and answers each, then goes on with the queue; never rejects. */
  async #decideSlowly(queue: Queue, pack: Pack, missed: Missed | undefined): Promise<void> {
    try {
      const outcomes = await this.#decide(queue.entry, pack, missed);
      // undefined: forwarded, and answered by the one that is ahead.
      if (outcomes !== undefined) answerAll(pack, outcomes);
    } catch (error) {
      this.#fail(pack, error);
    }
    this.#next(queue);
  }

  #fail(pack: Pack, error: unknown): void {
    if (!(error instanceof RpcError))
      this.#replica.log.error(
        { err: error, ...inTrace(pack.writes[0]?.trace) },
        "a proposal failed unexpectedly",
      );
    const failure = RpcError.from(error);
    for (const write of pack.writes) write.reject(failure);
  }

  /** `missed`: how an attempt on the fast path has ended already. */
  async #decide(
    entry: Entry,
    { packing, writes }: Pack,
    missed: Missed | undefined,
  ): Promise<Outcomes | undefined> {
    const deadlineMs = Math.max(...writes.map((write) => write.deadlineMs));
    const trace = traceOf(writes);
    const { epoch } = this.#replica;
    const startVersion = entry.register.known.version;
    let seen = NO_BALLOT;
    let lost = 0;
    let confirmed = Number.POSITIVE_INFINITY;
    let verdict = missed;
    for (let attempt = 0; ; attempt++) {
      if (verdict?.verdict === "noQuorum") {
        this.#requireDisk();
        await pause(attempt, deadlineMs, `fewer than two replicas could vote (${verdict.reason})`);
      } else if (verdict !== undefined) {
        if (compareBallots(verdict.promised, seen) > 0) seen = verdict.promised;
        this.#learnAhead(entry, verdict);
        lost += 1;
        const isFaster = lost >= LOST_MAX && verdict.version > startVersion;
        if (this.#handOver(entry, { packing, writes }, { ...verdict, isFaster })) return undefined;
        await pause(attempt, deadlineMs, "other proposers kept being faster");
      }
      verdict = undefined;
      if (monotonicMs() > deadlineMs)
        throw new RpcError("NO_QUORUM", "no two replicas agreed before the deadline");
      const way = chooseWay(entry.register, this.#replica.self, seen);
      if (way.way === "fetch") {
        await this.#repair.fetch(entry);
        continue;
      }
      const composed = packing.compose(
        entry,
        planted("ids-dropped-at-takeover")
          ? writes.map((write) => ({ ...write, operationId: NO_BYTES }))
          : writes,
      );
      if (composed.body === undefined) {
        const { version } = entry.register.known;
        // One asked for in an epoch that is over says nothing.
        const isKnown = version >= confirmed && this.#replica.epoch === epoch;
        if (!isKnown) confirmed = await this.confirmNewest(entry, deadlineMs);
        if (version >= confirmed) return composed.outcomes;
        continue;
      }
      const base = entry.register.known;
      const own = sealDecision(base.version + 1, this.#replica.self, composed.body);
      const { ballot } = way;
      const ended =
        way.way === "fast"
          ? await this.#accept(entry, { ballot, base, decision: own, trace })
          : await this.#prepared(entry, { ballot, base, own, trace });
      if (ended === "own") return composed.outcomes;
      if (ended !== "foreign") verdict = ended;
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

  /** Phase one, then phase two with what it found or, when it found nothing, with our own value. */
  async #prepared(
    entry: Entry,
    attempt: { ballot: Ballot; base: Known; own: Decision | undefined; trace: Uint8Array },
  ): Promise<"own" | "foreign" | Missed> {
    const { ballot, base, own, trace } = attempt;
    const { digest: baseDigest } = base;
    const version = base.version + 1;
    const { epoch } = this.#replica;
    const proposal = { key: entry.key, version, ballot, baseDigest, decision: NO_BYTES, trace };
    const { verdict, answers } = await new Promise<{ verdict: Settled; answers: Answers }>(
      (resolve) => {
        const round = new Round(this.#rounds, entry, proposal, (verdict, answers) =>
          resolve({ verdict, answers }),
        );
        round.start({ kind: "prepare", version, ballot, baseDigest }, false);
      },
    );
    if (verdict.verdict !== "majority") return verdict;
    if (this.#replica.epoch !== epoch) return { verdict: "noQuorum", reason: EPOCH_IS_OVER };
    const decision = valueToFinish(answers) ?? own;
    if (decision === undefined) return "foreign";
    const ended = await this.#accept(entry, { ballot, base, decision, trace });
    return ended === "own" && decision !== own ? "foreign" : ended;
  }

  /** Phase two. "own": the value is decided here and on its way to the third. */
  #accept(
    entry: Entry,
    attempt: { ballot: Ballot; base: Known; decision: Decision; trace: Uint8Array },
  ): Promise<"own" | Missed> {
    return new Promise((resolve) =>
      this.#propose(entry, attempt, (verdict) =>
        resolve(verdict.verdict === "majority" ? "own" : verdict),
      ),
    );
  }

  /** Sends Accepts for a value and tells how that ended; a decided value is published first. */
  #propose(
    entry: Entry,
    attempt: { ballot: Ballot; base: Known; decision: Decision; trace: Uint8Array },
    done: (verdict: Settled) => void,
  ): void {
    const { ballot, decision, trace } = attempt;
    const { version, bytes } = decision;
    const { digest: baseDigest } = attempt.base;
    const proposal = { key: entry.key, version, ballot, baseDigest, decision: bytes, trace };
    const round = new Round(this.#rounds, entry, proposal, (verdict, answers) => {
      if (verdict.verdict === "majority") {
        monitor.add(decided, 1);
        if (ballot.round === 0) monitor.add(fastDecided, 1);
        this.#publish(entry, { decision, trace }, answers);
      }
      done(verdict);
    });
    round.start({ kind: "accept", ballot, decision, baseDigest }, true);
  }

  /** Decided: said here, and to the others through the pipeline; the value to whom did not vote. */
  #publish(
    entry: Entry,
    { decision, trace }: { decision: Decision; trace: Uint8Array },
    answers: Answers,
  ): void {
    const { version, digest, bytes } = decision;
    const { key } = entry;
    const { peers } = this.#replica;
    // A disk that refuses keeps this replica where it is; the others have it, and it fetches it later.
    if (this.#replica.state.refusing === undefined)
      this.#replica.take(entry, { kind: "notice", version, digest });
    for (const peer of peers.others) {
      const outbox = this.#replica.outbox(peer);
      if (answers[peer]?.answer === "granted") {
        const item = { case: "notice", value: { version, digest } } as const;
        outbox.push({ key, item, trace: NO_BYTES }, 0);
      } else {
        const item = { case: "decision", value: bytes } as const;
        const shown = peers.traces("decisions", trace) ? trace : NO_BYTES;
        outbox.push({ key, item, trace: shown }, bytes.length);
      }
    }
  }

  #learnAhead(entry: Entry, ahead: Ahead): void {
    if (ahead.version > entry.register.known.version) {
      this.#replica.take(entry, { kind: "notice", version: ahead.version, digest: ahead.digest });
    }
  }

  /**
   * S7: to the replica that decided a version we did not know; again only to one that has decided another
   * since. Who decides has nobody to ask and is always faster than who asks first, as long as writes wait
   * there: what lost often is given back to whoever sent it, who asks another replica. True when all of the
   * pack are somebody else's now. The queue goes on meanwhile: two replicas that forward to each other and
   * wait would wait until their deadlines.
   */
  #handOver(
    entry: Entry,
    { packing, writes }: Pack,
    ahead: Ahead & { isFaster: boolean },
  ): boolean {
    const { owner, version, isFaster } = ahead;
    if (owner === undefined || owner.incarnation === 0) return false;
    const { self, peers } = this.#replica;
    if (owner.replica === self.replica) return false;
    const isReached = peers.takesCalls(owner.replica);
    const goes = ({ forward, forwarded: { times, version: before } }: Write) =>
      isReached && forward !== undefined && times < FORWARDS_MAX && version > before;
    if (!isFaster && !writes.every(goes)) return false;
    for (const write of writes) {
      if (!goes(write)) {
        write.reject(isDecidedElsewhere());
        continue;
      }
      entry.pins += 1;
      write.forward!(owner)
        // It may be the one that just died: take over.
        .catch((failure: unknown) => {
          const { version } = entry.register.known;
          const forwarded = { times: write.forwarded.times + 1, version };
          const again = { forwarded, isFirst: false, mayBeDone: mayBeDone(failure) };
          this.submit(entry, packing, { ...write, ...again });
        })
        .finally(() => {
          entry.pins -= 1;
        });
    }
    return true;
  }

  /** Finishes a value that may be half decided, proposing nothing of our own. */
  async finish(entry: Entry): Promise<void> {
    if (this.#replica.state.damaged.isRenewed(entry.registerKey)) throw mayNotPropose();
    const way = chooseWay(entry.register, this.#replica.self, NO_BALLOT);
    if (way.way === "fetch") return this.#repair.fetch(entry);
    const ballot = way.way === "prepare" ? way.ballot : { round: 1, proposer: way.ballot.proposer };
    const verdict = await this.#prepared(entry, {
      ballot,
      base: entry.register.known,
      own: undefined,
      trace: NO_BYTES,
    });
    if (typeof verdict === "string") return;
    if (verdict.verdict === "overtaken") this.#learnAhead(entry, verdict);
    await rest(Math.random() * DUEL_PAUSE_MS);
  }

  stop(): void {
    this.#hedges.stop();
  }
}

/** What it proposed before a record of the key was damaged is forgotten: a ballot could be used twice. */
function mayNotPropose(): RpcError {
  return new RpcError(
    "UNAVAILABLE",
    "this replica proposes nothing for a key that was damaged until its next start: ask another one",
  );
}

/** Nothing is known of whether it was done: its accepted value may be finished by others. */
function isDecidedElsewhere(): RpcError {
  return new RpcError("UNAVAILABLE", "another replica decides this key: ask that one");
}

function answerAll(pack: Pack, outcomes: Outcomes): void {
  const { packing, writes } = pack;
  for (let i = 0; i < writes.length; i++) packing.answer(writes[i]!, outcomes[i]!);
}

/**
 * The trace that a version's votes belong to: its first write's, when that is sampled. Of any write's,
 * nearly every version of a busy key would be traced, however few its writes are.
 */
export function traceOf(writes: readonly Pick<Write, "trace">[]): Uint8Array {
  return sampledOrNone(writes[0]?.trace);
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

/** A jittered, growing pause; throws NO_QUORUM when the deadline would pass in it. */
async function pause(attempt: number, deadlineMs: number, why: string): Promise<void> {
  const ms = Math.random() * DUEL_PAUSE_MS * Math.min(attempt + 1, 8);
  if (monotonicMs() + ms >= deadlineMs) throw new RpcError("NO_QUORUM", why);
  await rest(ms);
}
