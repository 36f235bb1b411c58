/**
 * Comparing with a peer: its keys are listed page by page with version and digest, and what is newer
 * there than here is taken over. Versions apart from data (S1): where nothing differs, no value travels.
 *
 *   list a page -> which are newer there -> their states, many an answer -> step, log -> rest
 *
 * A few pages are on this way side by side, for most of it is waiting: for a turn of the peer's event
 * loop, for the disk. Both sides work in slices of the event loop; each page has at most two answers under way.
 */
import {
  type FetchManyReply,
  type ListedVersion,
  type ListVersionsReply,
  Replica as ReplicaService,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { NO_BYTES } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { rest } from "../svrkit/rest.ts";
import { orAsBefore } from "../svrkit/version-before.ts";
import { CATCH_UP_TIMEOUT_MS, COMPARE_PAGE_KEYS } from "./limits.ts";
import { restAfter } from "./protocol/catch-up-pace.ts";
import { isCurrent } from "./protocol/register.ts";
import type { Repair } from "./repair.ts";
import type { Replica } from "./replica.ts";
import { Slices } from "./slices.ts";
import { unlessDamaged } from "./storage/engine.ts";

export type Page = readonly ListedVersion[];

const PRESSED_REST_MS = 100;
const PAGES_SIDE_BY_SIDE = 3;
/** Keys that are fetched alone: large tables, and what the peer itself does not hold. */
const ALONE_SIDE_BY_SIDE = 4;

const caughtUp = monitorId("kvsvr.caught_up");

/** What the peer has and this replica has not. */
interface Wanted {
  readonly listed: ListedVersion;
  readonly aboveVersion: number;
}

/** States of the first of some wanted keys, and what getting them cost. */
interface Part {
  readonly reply: FetchManyReply;
  readonly askedMs: number;
}

export class Comparison {
  readonly #replica: Replica;
  readonly #repair: Repair;
  readonly #peer: number;
  /** Pages whose keys are being taken over; never rejects. */
  readonly #underWay = new Set<Promise<void>>();
  #failure: unknown;
  /** What is fetched alone: of all pages one after the other. */
  #lastAlone: Promise<void> = Promise.resolve();
  #isStopped = false;
  /** The peer is of a version that knows Fetch alone. */
  #answersOneByOne = false;
  /** Keys that are not held as new as they are known, though all was asked for. */
  #missing = 0;

  constructor(replica: Replica, repair: Repair, peer: number) {
    this.#replica = replica;
    this.#repair = repair;
    this.#peer = peer;
  }

  /**
   * Compares once; `first` sees every page before. All of it is durable when it resolves to how many
   * keys are not held as new as they are known.
   */
  async run(first?: (page: Page) => Promise<void>): Promise<number> {
    try {
      await this.#startAll(first);
    } finally {
      await Promise.all(this.#underWay);
    }
    if (this.#failure !== undefined) throw this.#failure;
    const { state } = this.#replica;
    await state.durable(state.logged);
    return this.#missing;
  }

  /** Resolves when the last page was begun, or one has failed. */
  async #startAll(first?: (page: Page) => Promise<void>): Promise<void> {
    let next: Promise<ListVersionsReply> | undefined = this.#list(NO_BYTES);
    while (next !== undefined && this.#failure === undefined) {
      const page: ListVersionsReply = await next;
      if (page.barred !== "") throw new RpcError("UNAVAILABLE", page.barred);
      next = page.cursor.length === 0 || this.#isStopped ? undefined : this.#list(page.cursor);
      next?.catch(() => {}); // awaited above, unless another page fails before
      await first?.(page.versions);
      while (this.#underWay.size >= PAGES_SIDE_BY_SIDE) await Promise.race(this.#underWay);
      this.#start(page.versions);
    }
  }

  #start(page: Page): void {
    const taken = this.#takePage(page)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => this.#underWay.delete(taken));
    this.#underWay.add(taken);
  }

  stop(): void {
    this.#isStopped = true;
  }

  #list(cursor: Uint8Array): Promise<ListVersionsReply> {
    const { peers, epoch } = this.#replica;
    const request = { cursor, limit: COMPARE_PAGE_KEYS, epoch };
    return peers.call(this.#peer, ReplicaService.listVersions, request, {
      timeoutMs: CATCH_UP_TIMEOUT_MS,
    });
  }

  async #takePage(page: Page): Promise<void> {
    const startedMs = monotonicMs();
    const slices = new Slices();
    const wanted = await this.#newerThere(page, slices);
    slices.end();
    const { workedMs } = slices;
    await this.#rest({ tookMs: monotonicMs() - startedMs, workedMs });
    if (!this.#answersOneByOne) {
      const isTaken = this.#takeMany(wanted).then(() => true);
      if (await orAsBefore(isTaken, () => false)) return;
      this.#answersOneByOne = true;
    }
    await this.#fetchAlone(wanted.map(({ listed }) => listed));
  }

  async #takeMany(wanted: readonly Wanted[]): Promise<void> {
    let part = this.#fetchPart(wanted, 0);
    part?.catch(() => {}); // awaited below, which may be after a rest
    for (let at = 0; part !== undefined; ) {
      await this.#whilePressed();
      const { reply, askedMs } = await part;
      const some = wanted.slice(at, at + reply.states.length);
      at += some.length;
      part = this.#fetchPart(wanted, at);
      part?.catch(() => {}); // awaited above, unless these states fail before
      await this.#takeStates(some, reply, askedMs);
    }
  }

  async #newerThere(page: Page, slices: Slices): Promise<Wanted[]> {
    const { state } = this.#replica;
    const wanted: Wanted[] = [];
    for (const listed of page) {
      if (slices.isOver) await slices.next();
      const key = this.#replica.checked(listed.key);
      const register = unlessDamaged(() => state.peek(key))?.register;
      // A damaged one is renewed by itself.
      if (register === undefined) continue;
      const isHeld = isCurrent(register) && register.heldVersion >= listed.version;
      if (!isHeld) wanted.push({ listed, aboveVersion: register.heldVersion });
    }
    return wanted;
  }

  /** undefined: there is nothing left to ask for. */
  #fetchPart(wanted: readonly Wanted[], at: number): Promise<Part> | undefined {
    if (at >= wanted.length || this.#isStopped) return undefined;
    return this.#fetchStates(wanted.slice(at));
  }

  async #fetchStates(wanted: readonly Wanted[]): Promise<Part> {
    const { peers, epoch } = this.#replica;
    const askedMs = monotonicMs();
    const request = {
      wanted: wanted.map(({ listed, aboveVersion }) => ({ key: listed.key, aboveVersion })),
      epoch,
    };
    const reply = await peers.call(this.#peer, ReplicaService.fetchMany, request, {
      timeoutMs: CATCH_UP_TIMEOUT_MS,
    });
    if (reply.barred !== "") throw new RpcError("UNAVAILABLE", reply.barred);
    if (reply.states.length === 0 || reply.states.length > wanted.length)
      throw new RpcError("INTERNAL", `${reply.states.length} states came of ${wanted.length}`);
    return { reply, askedMs };
  }

  async #takeStates(
    wanted: readonly Wanted[],
    { states, workedUs }: FetchManyReply,
    askedMs: number,
  ): Promise<void> {
    const replica = this.#replica;
    const left: ListedVersion[] = [];
    const slices = new Slices();
    let logged = 0;
    for (const [i, { listed }] of wanted.entries()) {
      if (slices.isOver) await slices.next();
      const state = states[i]!;
      const entry = replica.entry(listed.key);
      const { version, digest } = listed;
      // A state that is not the one listed says nothing of that one: its digest is held against it.
      const isListed = state.version === version && state.digest === digest;
      if (!isListed && version > entry.register.known.version)
        replica.take(entry, { kind: "notice", version, digest });
      if (!state.unavailable) replica.take(entry, { kind: "fetched", reply: state });
      if (isCurrent(entry.register)) monitor.add(caughtUp, 1);
      else left.push(listed);
      logged = Math.max(logged, entry.logged);
    }
    slices.end();
    const workedMs = slices.workedMs + workedUs / 1_000;
    await replica.state.durable(logged);
    await this.#fetchAlone(left);
    await this.#rest({ tookMs: monotonicMs() - askedMs, workedMs });
  }

  /** Parts of large tables one after the other, and from the other replica what the peer lacks. */
  #fetchAlone(listed: readonly ListedVersion[]): Promise<void> {
    const fetched = this.#lastAlone.then(() => this.#fetchAloneNow(listed));
    this.#lastAlone = fetched.catch(() => {}); // told to who waits for it
    return fetched;
  }

  async #fetchAloneNow(listed: readonly ListedVersion[]): Promise<void> {
    for (let at = 0; at < listed.length && !this.#isStopped; at += ALONE_SIDE_BY_SIDE) {
      await this.#whilePressed();
      const startedMs = monotonicMs();
      const some = listed.slice(at, at + ALONE_SIDE_BY_SIDE);
      const entries = some.map(({ key, version, digest }) => {
        const entry = this.#replica.entry(key);
        if (version > entry.register.known.version)
          this.#replica.take(entry, { kind: "notice", version, digest });
        return entry;
      });
      // A key that cannot be had now: the next read, write or comparison tries again.
      const fetched = entries.map((entry) => this.#repair.fetch(entry));
      const outcomes = await Promise.allSettled(fetched);
      this.#missing += outcomes.filter(({ status }) => status === "rejected").length;
      await this.#replica.state.durable(this.#replica.state.logged);
      await rest(monotonicMs() - startedMs);
    }
  }

  /** While checkpoints are behind: clients would be refused next. */
  async #whilePressed(): Promise<void> {
    while (this.#replica.state.isPressed && !this.#isStopped) await rest(PRESSED_REST_MS);
  }

  async #rest(round: { tookMs: number; workedMs: number }): Promise<void> {
    const { isCatchingUp, barred } = this.#replica;
    const isAwaited = isCatchingUp || barred !== undefined;
    const ms = restAfter({ ...round, isAwaited });
    if (ms >= 1 && !this.#isStopped) await rest(ms);
  }
}
