/**
 * Repair: a replica that knows of a version it does not hold fetches it from one that does. At most
 * one fetch a key at a time; background repairs are bounded, the rest is found by comparing.
 */
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica as ReplicaService } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { rest } from "../svrkit/rest.ts";
import { Comparison, type Page } from "./comparison.ts";
import { leftVotes } from "./left-votes.ts";
import { FETCH_BYTES_MAX } from "./limits.ts";
import { isCurrent, step } from "./protocol/register.ts";
import { withoutBallots } from "./protocol/votes-left.ts";
import type { Replica } from "./replica.ts";
import { RecordDamaged } from "./storage/engine.ts";
import type { Entry } from "./storage/entry.ts";

const BACKGROUND_MAX = 4;
const BACKGROUND_WAITING_MAX = 10_000;
/** A notice often overtakes the value that follows in the pipeline: give it this long first. */
const BACKGROUND_DELAY_MS = 50;
const COMPARE_RETRY_MS = 500;
/** A key that could not be had is tried again, and keeps others from one of BACKGROUND_MAX for so long. */
const BACKGROUND_RETRY_MS = 1_000;
const PRESSED_REST_MS = 100;

const behind = monitorId("kvsvr.behind");
const repaired = monitorId("kvsvr.repaired");

export class Repair {
  readonly #replica: Replica;
  readonly #running = new Map<string, Promise<void>>();
  /** By name; their entries may leave the memory meanwhile. */
  readonly #waiting = new Map<string, Key>();
  readonly #comparisons = new Set<Comparison>();
  /** By peer: a comparison that has not begun. */
  readonly #nextComparisons = new Map<number, Promise<void>>();
  #lastComparison: Promise<void> = Promise.resolve();
  #active = 0;
  /** More keys were behind than can wait: all are compared when these are fetched. */
  #isOverflown = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(replica: Replica) {
    this.#replica = replica;
    replica.onBehind = (entry) => this.#later(entry);
    replica.onGap = (peer) => {
      // Cut off for long: as after a start, others serve better until the worst is fetched.
      replica.catchUpUntil(this.compareLater(peer));
    };
  }

  /** Resolves when the newest version known here is held; throws UNAVAILABLE when nobody has it. */
  fetch(entry: Entry): Promise<void> {
    const running = this.#running.get(entry.name);
    if (running !== undefined) return running;
    entry.pins += 1;
    const fetching = this.#fetchNow(entry).finally(() => {
      entry.pins -= 1;
      this.#running.delete(entry.name);
    });
    this.#running.set(entry.name, fetching);
    return fetching;
  }

  async #fetchNow(entry: Entry): Promise<void> {
    let lastReason = "no other replica holds it";
    const ways = [
      (peer: number) => this.#fetchAllFrom(peer, entry),
      (peer: number) => this.#fetchLooseFrom(peer, entry),
    ];
    for (const way of ways) {
      for (const peer of this.#replica.peers.preference(entry.registerKey)) {
        try {
          await way(peer);
        } catch (error) {
          lastReason = RpcError.from(error).message;
        }
        if (!isCurrent(entry.register)) continue;
        monitor.add(repaired, 1);
        return;
      }
    }
    throw new RpcError(
      "UNAVAILABLE",
      `version ${entry.register.known.version} is not held here: ${lastReason}`,
    );
  }

  async #fetchAllFrom(peer: number, entry: Entry): Promise<void> {
    while (!isCurrent(entry.register)) if (!(await this.#fetchFrom(peer, entry))) return;
  }

  /**
   * Changes of a table that both replicas left have, and neither holds: each has some of them loose, for
   * it lacks the one before. Together they lead on.
   */
  async #fetchLooseFrom(peer: number, entry: Entry): Promise<void> {
    const { peers, epoch } = this.#replica;
    const ask = (aboveVersion: number) =>
      peers.call(peer, ReplicaService.fetchVotes, { key: entry.key, aboveVersion, epoch, move: 0 });
    for await (const votes of leftVotes(ask, entry.register.heldVersion)) {
      const reply = withoutBallots(votes, entry.register);
      const input = { kind: "copied", reply } as const;
      // Of what changes nothing, nothing is logged, and nobody tries again for its sake.
      if (step(entry.register, input).register !== entry.register) this.#replica.take(entry, input);
    }
  }

  /** True when the peer's answer moved the register on. */
  async #fetchFrom(peer: number, entry: Entry): Promise<boolean> {
    const request = {
      key: entry.key,
      aboveVersion: entry.register.heldVersion,
      epoch: this.#replica.epoch,
      bytesMax: FETCH_BYTES_MAX,
    };
    const reply = await this.#replica.peers.call(peer, ReplicaService.fetch, request);
    if (reply.unavailable || reply.barred !== "") return false;
    const before = entry.register;
    this.#replica.take(entry, { kind: "fetched", reply });
    return entry.register !== before;
  }

  /**
   * Fetches a key that nobody waits for, until it is durable, and rests as long as that took: no more
   * than half of a busy machine and disk, and nothing while checkpoints are behind.
   */
  async #fetchAndRest(key: Key): Promise<void> {
    while (this.#replica.state.isPressed && !this.#stopped) await rest(PRESSED_REST_MS);
    const startedMs = monotonicMs();
    const entry = this.#replica.entry(key);
    const { slots } = this.#replica;
    const isHere = slots.serves(entry.registerKey) || slots.learns(entry.registerKey);
    if (!isHere || isCurrent(entry.register)) return;
    await this.fetch(entry);
    await this.#replica.state.durable(this.#replica.state.logged);
    await rest(monotonicMs() - startedMs);
  }

  #later({ name, key }: Pick<Entry, "name" | "key">): void {
    if (this.#stopped) return;
    if (this.#waiting.size < BACKGROUND_WAITING_MAX) this.#waiting.set(name, key);
    else this.#isOverflown = true;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#drain();
    }, BACKGROUND_DELAY_MS);
  }

  #drain(): void {
    monitor.set(behind, this.#waiting.size);
    for (const [name, key] of this.#waiting) {
      if (this.#active >= BACKGROUND_MAX || this.#stopped) return;
      this.#waiting.delete(name);
      this.#active += 1;
      this.#fetchAndRest(key)
        .catch((error: unknown) => this.#again(name, key, error))
        .finally(() => {
          this.#active -= 1;
          this.#drain();
        });
    }
    monitor.set(behind, this.#waiting.size);
    if (!this.#isOverflown || this.#active > 0 || this.#stopped) return;
    this.#isOverflown = false;
    const { peers } = this.#replica;
    // One that is away would keep the other one waiting until it is back.
    const livingFirst = [...peers.others].sort(
      (a, b) => Number(peers.usable(b)) - Number(peers.usable(a)),
    );
    for (const peer of livingFirst) void this.compareLater(peer);
  }

  /** It cannot be had now: nobody may ask for it, or tell of it again, for long. */
  async #again(name: string, key: Key, error: unknown): Promise<void> {
    if (error instanceof RecordDamaged) return; // renewed by itself
    await rest(BACKGROUND_RETRY_MS);
    this.#later({ name, key });
  }

  /**
   * Compares every key with a peer's and fetches what is newer there, again until it succeeds. One that has
   * begun may have passed the keys for whose sake it is asked for: then another one follows.
   */
  compareLater(peer: number): Promise<void> {
    const next = this.#nextComparisons.get(peer);
    if (next !== undefined) return next;
    // One peer after the other: what the first has fetched need not be fetched from the second.
    const comparison = this.#lastComparison.then(() => {
      this.#nextComparisons.delete(peer);
      return this.#compareUntilDone(peer);
    });
    this.#nextComparisons.set(peer, comparison);
    this.#lastComparison = comparison;
    return comparison;
  }

  async #compareUntilDone(peer: number): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.compare(peer);
        return;
      } catch (error) {
        this.#replica.log.debug(
          { peer, reason: RpcError.from(error).message },
          "comparing is tried again",
        );
        await rest(COMPARE_RETRY_MS);
      }
    }
  }

  /** Compares once (comparison.ts); how many keys are not held as new as they are known. */
  async compare(peer: number, first?: (page: Page) => Promise<void>): Promise<number> {
    const comparison = new Comparison(this.#replica, this, peer);
    this.#comparisons.add(comparison);
    try {
      const missing = await comparison.run(first);
      if (!this.#stopped) this.#replica.log.info({ peer }, "compared with another replica");
      return missing;
    } finally {
      this.#comparisons.delete(comparison);
    }
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const comparison of this.#comparisons) comparison.stop();
  }
}
