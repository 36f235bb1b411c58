/**
 * Linearizable reads (S6): a version query to one other replica, sent after the read arrived and
 * never shared with another read; then the local value, a fetch, or the end of what is half decided.
 * Reads that may be RECENT_MS old rest on a query of that time: what is held here never becomes older.
 */

import type { QueryVersionReply } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { RecentlyUsed } from "../svrkit/recently-used.ts";
import { rest } from "../svrkit/rest.ts";
import { type Hedged, Hedges } from "./hedges.ts";
import { HEDGE_MS, PENDING_WAIT_MS, RECENT_KEYS_MAX, RECENT_MS } from "./limits.ts";
import type { Peers } from "./peers.ts";
import type { Proposals } from "./proposals.ts";
import { planted } from "./protocol/planted.ts";
import {
  judgeRead,
  newestPossible,
  type VersionView,
  viewOf,
  viewOfReply,
} from "./protocol/read.ts";
import { isCurrent, isPartial } from "./protocol/register.ts";
import type { Repair } from "./repair.ts";
import type { Replica } from "./replica.ts";
import type { Entry } from "./storage/entry.ts";
import type { Asker } from "./turn-batch.ts";

const queries = monitorId("kvsvr.version_queries");
const finished = monitorId("kvsvr.reads_that_finished");

export class Reads {
  readonly #replica: Replica;
  readonly #repair: Repair;
  readonly #proposals: Proposals;
  readonly #hedges = new Hedges();
  /** By key: when the last query began that recent reads rest on. */
  readonly #confirmedMs = new RecentlyUsed<string, number>(RECENT_KEYS_MAX);
  /** Only of a planted bug: who waits for a query under way, by key. */
  readonly #joined = new Map<string, Heard[]>();

  constructor(replica: Replica, repair: Repair, proposals: Proposals) {
    this.#replica = replica;
    this.#repair = repair;
    this.#proposals = proposals;
    proposals.confirmNewest = (entry, deadlineMs) => this.#newest(entry, deadlineMs);
  }

  /**
   * Tells when the value held here is at least as new as every write acknowledged before the call.
   * Usually one answer says so, on callbacks alone; else `#newest` goes on.
   */
  newest(entry: Entry, asked: Asked, done: (error: RpcError | undefined) => void): void {
    if (planted("read-without-query") && isCurrent(entry.register)) {
      done(undefined);
      return;
    }
    entry.pins += 1;
    const settle = (error: RpcError | undefined) => {
      entry.pins -= 1;
      done(error);
    };
    this.#ask(entry, { both: false, trace: asked.trace }, (answers) => {
      const isLocal =
        !(answers instanceof RpcError) &&
        judgeRead(viewOf(entry.register), answers).verdict === "local";
      if (isLocal) settle(undefined);
      else
        this.#newest(entry, asked.deadlineMs, this.#proposals, answers).then(
          () => settle(undefined),
          (error: unknown) => settle(RpcError.from(error)),
        );
    });
  }

  /** As `newest`, of every write acknowledged RECENT_MS before the call. */
  recent(entry: Entry, asked: Asked, done: (error: RpcError | undefined) => void): void {
    const { name } = entry;
    const nowMs = monotonicMs();
    const ageMs = nowMs - (this.#confirmedMs.get(name) ?? Number.NEGATIVE_INFINITY);
    const isRecent = ageMs <= (planted("recent-for-a-minute") ? 60_000 : RECENT_MS);
    if (isRecent && isCurrent(entry.register)) {
      done(undefined);
      return;
    }
    this.newest(entry, asked, (error) => {
      if (error === undefined) this.#confirmedMs.set(name, nowMs);
      done(error);
    });
  }

  /**
   * Resolves with a version that is held here or was passed already, and above which nothing was decided
   * before the call: of a key that changes all the time no round finds the newest one here.
   * `queue`: waits for the version under way here; a proposer that asks for itself must not.
   * `heard`: what a first round has brought.
   */
  async #newest(
    entry: Entry,
    deadlineMs: number,
    queue?: Proposals,
    heard?: readonly Version[] | RpcError,
  ): Promise<number> {
    const { epoch } = this.#replica;
    let enough = Number.POSITIVE_INFINITY;
    for (let round = 0; monotonicMs() < deadlineMs; round++) {
      this.#replica.slots.requireServed(entry.registerKey);
      const { register } = entry;
      // What was heard in an epoch that is over counts for nothing (S3).
      if (this.#replica.epoch === epoch && register.heldVersion >= enough && !isPartial(register))
        return enough;
      const answers =
        round === 0 && heard !== undefined ? heard : await this.#hear(entry, round > 0);
      if (answers instanceof RpcError) throw answers;
      const own = viewOf(entry.register);
      const verdict = judgeRead(own, answers);
      enough = Math.min(enough, newestPossible(own, answers));
      switch (verdict.verdict) {
        case "local":
          return own.version;
        case "fetch":
          await this.#catchUp(entry, answers);
          break;
        case "pending":
          await this.#settlePending(entry, round, queue);
          break;
      }
    }
    throw new RpcError(
      "NO_QUORUM",
      "the newest version could not be confirmed before the deadline",
    );
  }

  #hear(entry: Entry, both: boolean): Promise<readonly Version[] | RpcError> {
    return new Promise((resolve) => this.#ask(entry, { both, trace: NO_BYTES }, resolve));
  }

  #ask(entry: Entry, how: { both: boolean; trace: Uint8Array }, done: Heard): void {
    if (planted("joined-query")) {
      const joined = this.#joined.get(entry.name);
      if (joined !== undefined) {
        joined.push(done);
        return;
      }
      const all = [done];
      this.#joined.set(entry.name, all);
      done = (answers) => {
        this.#joined.delete(entry.name);
        for (const tell of all) tell(answers);
      };
    }
    monitor.add(queries, 1);
    new VersionRound({ peers: this.#replica.peers, entry, ...how, hedges: this.#hedges }, done);
  }

  async #catchUp(entry: Entry, answers: readonly Version[]): Promise<void> {
    const ahead = answers.reduce((a, b) => (b.version > a.version ? b : a));
    if (ahead.version > entry.register.known.version) {
      this.#replica.take(entry, { kind: "notice", version: ahead.version, digest: ahead.digest });
    }
    if (!isCurrent(entry.register)) await this.#repair.fetch(entry);
  }

  /** First wait for news, ours or the pipeline's; then make the half-decided value a decided one. */
  async #settlePending(entry: Entry, round: number, queue: Proposals | undefined): Promise<void> {
    const underWay = queue?.underWay(entry);
    if (underWay !== undefined) return underWay;
    if (round === 0) {
      await rest(PENDING_WAIT_MS);
      return;
    }
    monitor.add(finished, 1);
    await this.#proposals.finish(entry);
  }

  stop(): void {
    this.#hedges.stop();
  }
}

type Heard = (answers: readonly Version[] | RpcError) => void;

/** Of the call that reads. */
export interface Asked {
  readonly deadlineMs: number;
  readonly trace: Uint8Array;
}

interface Version extends VersionView {
  readonly digest: number;
}

/** Versions known to one other replica, or with `both` to both; the third is asked by hedge. */
class VersionRound implements Asker<QueryVersionReply>, Hedged {
  readonly #peers: Peers;
  readonly #entry: Entry;
  readonly #second: number;
  readonly #hedges: Hedges;
  readonly #both: boolean;
  readonly #trace: Uint8Array;
  readonly #done: (answers: readonly Version[] | RpcError) => void;
  readonly #answers: Version[] = [];
  #open = 1;
  #askedSecond = false;
  #lastReason = "";
  settled = false;

  constructor(
    parts: { peers: Peers; entry: Entry; both: boolean; trace: Uint8Array; hedges: Hedges },
    done: (answers: readonly Version[] | RpcError) => void,
  ) {
    const { peers, entry, both, trace, hedges } = parts;
    this.#peers = peers;
    this.#entry = entry;
    this.#both = both;
    this.#trace = trace;
    this.#hedges = hedges;
    this.#done = done;
    const [first, second] = peers.preference(entry.registerKey);
    this.#second = second;
    peers.queryVersion(first, { key: entry.key, trace }, this);
    if (both) this.hedge();
    else hedges.add(this, monotonicMs(), HEDGE_MS);
  }

  answered(_peer: number, reply: QueryVersionReply): void {
    this.#open -= 1;
    if (reply.barred === "")
      this.#answers.push({ ...viewOfReply(reply), digest: reply.knownDigest });
    else this.#lastReason = reply.barred;
    this.#judge();
  }

  failed(_peer: number, error: unknown): void {
    this.#open -= 1;
    this.#lastReason = RpcError.from(error).message;
    this.#judge();
  }

  hedge(): void {
    if (this.#askedSecond) return;
    this.#askedSecond = true;
    this.#open += 1;
    this.#peers.queryVersion(this.#second, { key: this.#entry.key, trace: this.#trace }, this);
  }

  #judge(): void {
    if (this.settled) return;
    if (this.#answers.length > 0 && (this.#open === 0 || !this.#both)) this.#settle(this.#answers);
    else if (this.#open > 0) return;
    else if (!this.#askedSecond) this.hedge();
    else
      this.#settle(
        new RpcError("NO_QUORUM", `no other replica confirmed the version (${this.#lastReason})`),
      );
  }

  #settle(outcome: readonly Version[] | RpcError): void {
    this.settled = true;
    this.#hedges.settle(this);
    this.#done(outcome);
  }
}
