/**
 * Repair: a replica that knows of a version it does not hold fetches it from one that does. At most
 * one fetch a key at a time; background repairs are bounded, the rest is found by comparing.
 */
import {
  type ListedVersion,
  Replica as ReplicaService,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError } from "../svrkit/errors.ts";
import { counter } from "../svrkit/monitors/registry.ts";
import { rest } from "../svrkit/rest.ts";
import { FETCH_BYTES_MAX } from "./limits.ts";
import { isCurrent } from "./protocol/register.ts";
import type { Replica } from "./replica.ts";
import type { Entry } from "./storage/state.ts";

type Page = readonly ListedVersion[];

const BACKGROUND_MAX = 4;
const BACKGROUND_WAITING_MAX = 10_000;
/** A notice often overtakes the value that follows in the pipeline: give it this long first. */
const BACKGROUND_DELAY_MS = 50;
const PAGE = 250;
const COMPARE_RETRY_MS = 500;
const COMPARE_SIDE_BY_SIDE = 4;
const PRESSED_REST_MS = 100;

const behind = counter("kvsvr.behind");
const repaired = counter("kvsvr.repaired");

export class Repair {
  readonly #replica: Replica;
  readonly #running = new Map<string, Promise<void>>();
  readonly #waiting = new Map<string, Entry>();
  readonly #comparing = new Map<number, Promise<void>>();
  #lastComparison: Promise<void> = Promise.resolve();
  #active = 0;
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
    const { peers } = this.#replica;
    let lastReason = "no other replica holds it";
    for (const peer of peers.preference(entry.registerKey)) {
      try {
        while (!isCurrent(entry.register)) if (!(await this.#fetchFrom(peer, entry))) break;
      } catch (error) {
        lastReason = RpcError.from(error).message;
      }
      if (isCurrent(entry.register)) {
        repaired.value += 1;
        return;
      }
    }
    throw new RpcError(
      "UNAVAILABLE",
      `version ${entry.register.known.version} is not held here: ${lastReason}`,
    );
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
   * Fetches keys side by side, waits until they are durable, and rests as long as that took: catching
   * up takes no more than its half of a busy machine and disk, and nothing while checkpoints are behind.
   */
  async #fetchAndRest(entries: readonly Entry[]): Promise<void> {
    while (this.#replica.state.isPressed && !this.#stopped) await rest(PRESSED_REST_MS);
    const startedMs = monotonicMs();
    // A key that cannot be had now: the next read, write or comparison tries again.
    await Promise.allSettled(entries.map((entry) => this.fetch(entry)));
    await this.#replica.state.durable(Math.max(0, ...entries.map((entry) => entry.logged)));
    await rest(monotonicMs() - startedMs);
  }

  #later(entry: Entry): void {
    if (this.#stopped || this.#waiting.size >= BACKGROUND_WAITING_MAX) return;
    this.#waiting.set(entry.name, entry);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#drain();
    }, BACKGROUND_DELAY_MS);
  }

  #drain(): void {
    behind.value = this.#waiting.size;
    for (const [name, entry] of this.#waiting) {
      if (this.#active >= BACKGROUND_MAX || this.#stopped) return;
      this.#waiting.delete(name);
      if (isCurrent(entry.register)) continue;
      this.#active += 1;
      this.#fetchAndRest([entry])
        .catch(() => {}) // the disk refuses: as above
        .finally(() => {
          this.#active -= 1;
          this.#drain();
        });
    }
    behind.value = this.#waiting.size;
  }

  /** Compares every key with a peer's and fetches what is newer there, again until it succeeds. */
  compareLater(peer: number): Promise<void> {
    const running = this.#comparing.get(peer);
    if (running !== undefined) return running;
    // One peer after the other: what the first has fetched need not be fetched from the second.
    const comparing = this.#lastComparison
      .then(() => this.#compareUntilDone(peer))
      .finally(() => this.#comparing.delete(peer));
    this.#comparing.set(peer, comparing);
    this.#lastComparison = comparing;
    return comparing;
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

  /**
   * Compares once with what a peer has; `first` sees every page before. Returns how many keys are not
   * held as new as they are known.
   */
  async compare(peer: number, first?: (page: Page) => Promise<void>): Promise<number> {
    let missing = 0;
    let cursor: Uint8Array = new Uint8Array(0);
    do {
      const request = { cursor, limit: PAGE, epoch: this.#replica.epoch };
      const page = await this.#replica.peers.call(peer, ReplicaService.listVersions, request);
      if (page.barred !== "") throw new RpcError("UNAVAILABLE", page.barred);
      await first?.(page.versions);
      await this.#comparePage(page.versions);
      const held = page.versions.filter(({ key }) => isCurrent(this.#replica.entry(key).register));
      missing += page.versions.length - held.length;
      cursor = page.cursor;
    } while (cursor.length > 0 && !this.#stopped);
    this.#replica.log.info({ peer }, "compared with another replica: caught up");
    return missing;
  }

  async #comparePage(versions: Page): Promise<void> {
    let behind: Entry[] = [];
    for (const listed of versions) {
      const entry = this.#replica.entry(listed.key);
      if (listed.version > entry.register.known.version) {
        const { version, digest } = listed;
        this.#replica.take(entry, { kind: "notice", version, digest });
      }
      if (isCurrent(entry.register)) continue;
      behind.push(entry);
      if (behind.length < COMPARE_SIDE_BY_SIDE) continue;
      await this.#fetchAndRest(behind);
      behind = [];
    }
    if (behind.length > 0) await this.#fetchAndRest(behind);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }
}
