/**
 * Linearizable reads (S6): a version query to one other replica, sent after the read arrived and
 * never shared with another read; then the local value, a fetch, or the end of what is half decided.
 */
import type { QueryVersionReply } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError } from "../svrkit/errors.ts";
import { counter } from "../svrkit/monitors/registry.ts";
import { HEDGE_MS, PENDING_WAIT_MS } from "./limits.ts";
import type { Proposals } from "./proposals.ts";
import { judgeRead, type VersionView, viewOf, viewOfReply } from "./protocol/read.ts";
import { isCurrent } from "./protocol/register.ts";
import type { Repair } from "./repair.ts";
import type { Replica } from "./replica.ts";
import type { Entry } from "./storage/state.ts";

const queries = counter("kvsvr.version_queries");
const finished = counter("kvsvr.reads_that_finished");

export class Reads {
  readonly #replica: Replica;
  readonly #repair: Repair;
  readonly #proposals: Proposals;

  constructor(replica: Replica, repair: Repair, proposals: Proposals) {
    this.#replica = replica;
    this.#repair = repair;
    this.#proposals = proposals;
    proposals.confirmNewest = (entry, deadlineMs) => this.#newest(entry, deadlineMs);
  }

  /** Resolves when the value held here is at least as new as every write acknowledged before the call. */
  async newest(entry: Entry, deadlineMs: number): Promise<void> {
    entry.pins += 1;
    try {
      await this.#newest(entry, deadlineMs, this.#proposals);
    } finally {
      entry.pins -= 1;
    }
  }

  /** `queue`: waits for the version under way here; a proposer that asks for itself must not. */
  async #newest(entry: Entry, deadlineMs: number, queue?: Proposals): Promise<void> {
    for (let round = 0; monotonicMs() < deadlineMs; round++) {
      const answers = await this.#ask(entry, round > 0);
      const verdict = judgeRead(viewOf(entry.register), answers);
      switch (verdict.verdict) {
        case "local":
          return;
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

  async #catchUp(
    entry: Entry,
    answers: readonly { version: number; digest: number }[],
  ): Promise<void> {
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
      await new Promise<void>((resolve) => setTimeout(resolve, PENDING_WAIT_MS));
      return;
    }
    finished.value += 1;
    await this.#proposals.finish(entry);
  }

  /** Version answers of one other replica, or of both; rejects when none comes. */
  #ask(entry: Entry, both: boolean): Promise<(VersionView & { digest: number })[]> {
    const { peers, epoch } = this.#replica;
    const [first, second] = peers.preference(entry.registerKey);
    const request = { key: entry.key, epoch };
    queries.value += 1;
    return new Promise((resolve, reject) => {
      const answers: (VersionView & { digest: number })[] = [];
      let open = 1;
      let timer: NodeJS.Timeout | undefined;
      let lastReason = "";
      const done = () => {
        if (answers.length > 0 && (open === 0 || !both)) {
          clearTimeout(timer);
          resolve(answers);
        } else if (open === 0 && asked === 2) {
          reject(
            new RpcError("NO_QUORUM", `no other replica confirmed the version (${lastReason})`),
          );
        } else if (open === 0) askSecond();
      };
      const take = (reply: QueryVersionReply) => {
        open -= 1;
        if (reply.barred === "") answers.push({ ...viewOfReply(reply), digest: reply.knownDigest });
        else lastReason = reply.barred;
        done();
      };
      const send = (peer: number) =>
        peers.queryVersion(peer, request).then(take, (error: unknown) => {
          open -= 1;
          lastReason = RpcError.from(error).message;
          done();
        });
      let asked = 1;
      const askSecond = () => {
        if (asked === 2) return;
        asked = 2;
        open += 1;
        void send(second);
      };
      void send(first);
      if (both) askSecond();
      else timer = setTimeout(askSecond, HEDGE_MS);
    });
  }
}
