/**
 * Forgetting tombstones (S5), a batch at a time. Replica 0 looks for them now and then and proposes a batch
 * to all three; each freezes it durably and tells a digest of the names in its slots. When all are the same,
 * replica 0 writes into the group's row that it is committed; a replica that hears nothing reads the row,
 * and writes ABORTED there when nothing is decided. So every attempt ends without whoever began it, and
 * what is frozen, deleted keys and those that do not exist, waits for about as long as the row takes.
 */
import { Keyspace, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import {
  decodeForgetOutcome,
  encodeForgetOutcome,
  type ForgetOutcome,
  type ForgetPlan,
  type ForgetReply,
  type ForgetRequest,
  ForgetOutcomeOutcome as Outcome,
  Replica as ReplicaService,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { fromBytes, toBytes } from "../svrkit/codec.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { rest } from "../svrkit/rest.ts";
import type { KvClient } from "./client.ts";
import { FORGET_TIMEOUT_MS } from "./limits.ts";
import { isAbsent, tombstoneOf } from "./protocol/absent.ts";
import {
  type Batch,
  floorAbove,
  forgettable,
  Gathering,
  NamesDigest,
  outcomeOf,
  whyNot,
} from "./protocol/forgetting.ts";
import { planted } from "./protocol/planted.ts";
import type { Register } from "./protocol/register.ts";
import type { Replica } from "./replica.ts";
import { Slices } from "./slices.ts";
import type { SlotSpan } from "./slots/plan/held-slots.ts";
import type { BeingForgotten } from "./slots/slot-table.ts";
import { RecordDamaged } from "./storage/engine.ts";
import type { Entry } from "./storage/entry.ts";
import type { Listed } from "./storage/listing.ts";
import { KEY_AT, registerKey, slotGroup } from "./storage/record.ts";
import { groupsOf } from "./storage/slot-removal.ts";
import type { Forgotten } from "./storage/state.ts";

/** Who looks for what can be forgotten, and proposes it. */
const PROPOSER = 0;
const PAGE = 500;
/** Of the time that a scan takes, so much is left to everybody else for each part of work. */
const REST_SHARE = 9;
/** What is frozen for so long without news reads the row; twice as long, and it ends the attempt. */
const HEAR_MS = 500;
const ABORT_AFTER_MS = 2_000;
const RETRY_MS = 1_000;
/** Between two attempts of one look: each ends with a checkpoint at every replica. */
const IDLE_LOOKS = 60;
/** Keys that are settled after an attempt that came to nothing. */
const OPEN_MAX = 100;

const forgotten = monitorId("kvsvr.tombstones_forgotten");
const tombstones = monitorId("kvsvr.tombstones");
const aborted = monitorId("kvsvr.forgetting_aborted");

export interface ForgettingOptions {
  /** How often it is looked whether there is enough to be forgotten; 0: never. */
  readonly everyMs: number;
  /** How old, by their newest operation id, tombstones must be. */
  readonly windowMs: number;
  /** Fewer tombstones than this stay. */
  readonly least: number;
  /** Slots are being moved: what is copied ahead would have to be forgotten there, too. */
  readonly isMoving: () => boolean;
  /** Settles what may be under way about a key, so that it will be the same everywhere. */
  readonly finish: (entry: Entry) => Promise<void>;
}

/** Puts into force what this replica has frozen and what is decided; durable when it resolves. */
export async function commitForgetting({ slots, state }: Replica): Promise<void> {
  const { forgetting } = slots;
  if (forgetting?.stage !== "frozen") return;
  await state.commitSlots([forgetting.span]);
  if (slots.forgetting !== forgetting) return;
  slots.raiseFloor();
  state.forget(forgottenOf(forgetting));
}

export function forgottenOf({ keys, floor }: BeingForgotten): Forgotten {
  const named = keys.map(({ key, version }) => {
    return { key: keyOf(Buffer.from(key, "base64")), version };
  });
  return { keys: named, floor };
}

function keyOf(registerKey: Buffer) {
  return { keyspace: registerKey[0]!, key: registerKey.subarray(KEY_AT) };
}

export class Forgetting {
  readonly #replica: Replica;
  readonly #control: KvClient;
  readonly #options: ForgettingOptions;
  readonly #rowKey: { keyspace: number; key: Buffer };
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #ending: Promise<void> | undefined;
  #stopped = false;
  /** Keys in the slots of the last attempt about which something was accepted and not known to be decided. */
  #open: Buffer[] = [];
  /** The log's newest record at the last scan, and what that scan has left. */
  #scanned: { logged: number; left: number } | undefined;

  /** `control`: the first group, which holds the row. */
  constructor(replica: Replica, control: KvClient, options: ForgettingOptions) {
    this.#replica = replica;
    this.#control = control;
    this.#options = options;
    const key = Buffer.from(`forgetting/${replica.slots.group}`);
    this.#rowKey = { keyspace: Keyspace.CONTROL, key };
  }

  start(): void {
    if (this.#replica.slots.forgetting !== undefined) this.#endLater(0);
    const { everyMs } = this.#options;
    if (everyMs === 0 || this.#replica.self.replica !== PROPOSER) return;
    this.#timer = setInterval(() => this.#look(), everyMs);
  }

  #look(): void {
    if (this.#looking !== undefined || this.#stopped || !this.#mayBeEnough()) return;
    this.#looking = this.#scan()
      .catch((error: unknown) => {
        const reason = RpcError.from(error).message;
        this.#replica.log.debug({ reason }, "forgetting tombstones is tried again later");
      })
      .finally(() => {
        this.#looking = undefined;
      });
  }

  /** Every tombstone was a record of the log once. */
  #mayBeEnough(): boolean {
    if (!this.#replica.isServing || this.#replica.slots.forgetting !== undefined) return false;
    if (this.#scanned === undefined) return true;
    const { logged, left } = this.#scanned;
    return left + this.#replica.state.logged - logged >= this.#options.least;
  }

  async #scan(): Promise<void> {
    const { state } = this.#replica;
    const { logged } = state;
    const cutoffMs = Date.now() - this.#options.windowMs;
    let all = 0;
    let old = 0;
    // What is accepted and not known to be decided may be a deletion, which a notice alone, and no further
    // record, makes a tombstone.
    let coming = 0;
    for await (const { register } of this.#listAll()) {
      if (register === undefined) continue;
      if (tombstoneOf(register) !== undefined) all += 1;
      else if (register.accepted !== undefined) coming += 1;
      if (forgettable(register, cutoffMs) !== undefined) old += 1;
    }
    monitor.set(tombstones, all);
    this.#scanned = { logged, left: all + coming };
    if (old >= this.#options.least) await this.#forgetAll(cutoffMs);
  }

  /** Every key, in order, beside everything else. */
  async *#listAll(): AsyncGenerator<Listed> {
    let after: Buffer | undefined;
    do {
      const startedMs = monotonicMs();
      const page = this.#replica.state.list(after, PAGE);
      yield* page.listed;
      after = page.next;
      if (after !== undefined) await rest(REST_SHARE * (monotonicMs() - startedMs));
    } while (after !== undefined && !this.#stopped);
  }

  async #forgetAll(cutoffMs: number): Promise<void> {
    const { slots } = this.#replica;
    const isOwned = (span: SlotSpan) => slots.all([span], ({ state }) => state === "owned");
    const gathering = new Gathering(cutoffMs, isOwned);
    for await (const { entryKey, register } of this.#listAll()) {
      const batch = register && gathering.add(entryKey, register);
      if (batch !== undefined) await this.#attempt(batch);
    }
    const last = gathering.end();
    if (last !== undefined) await this.#attempt(last);
  }

  /** Throws when no other attempt can be made now. */
  async #attempt({ span, floor, keys }: Batch): Promise<void> {
    const replica = this.#replica;
    const { epoch, peers, self, slots } = replica;
    // Read before: a row that changes meanwhile is somebody else's, who may have committed.
    const before = await this.#read();
    await this.#allIdle(epoch);
    const row = await this.#begin(before);
    const { version, forgottenMs } = floorAbove(floor, slots.floorsWithin([span]));
    const plan = {
      floor: { ...span, version, forgottenMs },
      keys: keys.map((key) => ({ ...key, key: key.registerKey.subarray(KEY_AT) })),
    };
    const request = { epoch, number: row.number, act: { case: "freeze" as const, value: plan } };
    const replies = await Promise.all(
      [self.replica, ...peers.others].map((i) => this.#ask(i, request)),
    );
    const why = replica.epoch === epoch ? whyNot(replies) : "the group's epoch ended meanwhile";
    if (why !== undefined) replica.log.debug({ why }, "tombstones are not forgotten now");
    const wanted = why === undefined ? Outcome.COMMITTED : Outcome.ABORTED;
    const committed = (await this.#close(row.number, wanted)) === "committed";
    if (!committed) monitor.add(aborted, 1);
    const end = {
      epoch,
      number: row.number,
      act: { case: "committed" as const, value: committed },
    };
    await Promise.all([self.replica, ...peers.others].map((i) => this.#ask(i, end)));
  }

  /** Resolves when no replica has anything frozen or to be removed. */
  async #allIdle(epoch: number): Promise<void> {
    const { self, peers } = this.#replica;
    const request = { epoch, number: 0, act: undefined };
    for (let look = 0; look < IDLE_LOOKS && !this.#stopped; look++) {
      if (look > 0) await rest(RETRY_MS);
      const replies = await Promise.all(
        [self.replica, ...peers.others].map((i) => this.#ask(i, request)),
      );
      const refusal = replies.find((reply) => reply?.refused !== "");
      if (replies.includes(undefined) || refusal !== undefined)
        throw new RpcError("UNAVAILABLE", refusal?.refused ?? "not all three replicas answer");
      if (replies.every((reply) => reply?.number === 0)) return;
    }
    throw new RpcError("UNAVAILABLE", "a replica is busy with what was forgotten before");
  }

  /** undefined: no answer, as of a version that cannot forget, or of who holds a damaged key. */
  async #ask(replica: number, request: ForgetRequest): Promise<ForgetReply | undefined> {
    try {
      const { peers, self } = this.#replica;
      if (replica === self.replica) return await this.handle(request);
      const options = { timeoutMs: FORGET_TIMEOUT_MS };
      return await peers.call(replica, ReplicaService.forget, request, options);
    } catch {
      return undefined;
    }
  }

  /** Another replica, or this one, takes part in an attempt. */
  async handle({ epoch, number, act }: ForgetRequest): Promise<ForgetReply> {
    const { slots } = this.#replica;
    const before = slots.forgetting?.number ?? 0;
    if (act?.case === "committed") {
      await this.#settle(number, act.value ? "committed" : "aborted");
      return { refused: "", number: slots.forgetting?.number ?? 0, digest: 0, names: 0 };
    }
    const refused = this.#refusal(epoch);
    if (act === undefined || refused !== "")
      return { refused, number: before, digest: 0, names: 0 };
    return this.#freeze(number, act.value);
  }

  #refusal(epoch: number): string {
    const { barred, isServing, unreadiness, slots } = this.#replica;
    if (barred !== undefined) return barred;
    if (!isServing || unreadiness !== undefined) return unreadiness ?? "it does not serve";
    if (slots.isFilling) return "it is not full yet";
    if (this.#options.isMoving() && !planted("copied-ahead-not-forgotten"))
      return "slots are being moved";
    return epoch === this.#replica.epoch ? "" : "its group epoch is another one";
  }

  async #freeze(number: number, { floor, keys }: ForgetPlan): Promise<ForgetReply> {
    const { slots, state } = this.#replica;
    requireArgument(floor !== undefined, "a plan without a floor");
    const { keyspace, first, last, version, forgottenMs } = floor;
    const span = { keyspace, first, last };
    const refuse = (refused: string) => ({ refused, number: 0, digest: 0, names: 0 });
    if (slots.forgetting !== undefined) return refuse("it is busy with another attempt");
    if (!slots.all([span], (holding) => holding.state === "owned"))
      return refuse("it does not serve all of these slots");
    const floors = slots.floorsWithin([span]);
    if (floors.some((own) => own.version > version)) return refuse("its floors are higher");
    const own = keys.map(({ key, version: of, digest }) => {
      const name = registerKey({ keyspace, key });
      return { key: name.toString("base64"), version: of, digest };
    });
    slots.freeze({ number, span, floor: { version, forgottenMs }, keys: own });
    this.#endLater(HEAR_MS);
    // What the proposer holds of them is decided.
    for (const { key, version: of, digest } of keys) {
      const entry = this.#replica.entry({ keyspace, key });
      if (of > entry.register.known.version)
        this.#replica.take(entry, { kind: "notice", version: of, digest });
    }
    const names = await this.#names(span);
    const differs = own.find((key) => !this.#isSame(key, version));
    if (differs !== undefined && !planted("forgotten-without-comparing")) {
      await this.#settle(number, "aborted");
      return refuse("it does not hold the same tombstones");
    }
    // What this answer rests on must not be forgotten by a crash.
    await state.durable(state.logged);
    if (!this.#hasFrozen(number)) return refuse("the attempt has ended");
    const digest = planted("forgotten-without-comparing") ? 0 : names.value;
    return { refused: "", number, digest, names: digest === 0 ? 0 : names.count };
  }

  #hasFrozen(number: number): boolean {
    const { forgetting } = this.#replica.slots;
    return forgetting?.number === number && forgetting.stage === "frozen";
  }

  #note(names: NamesDigest, registerKey: Buffer, register: Register | undefined): void {
    if (register === undefined) throw new RecordDamaged(registerKey);
    if (!isAbsent(register)) names.add(registerKey);
    if (register.accepted !== undefined && this.#open.length < OPEN_MAX)
      this.#open.push(registerKey);
  }

  /** Of all keys in these slots of which there is something. */
  async #names(span: SlotSpan): Promise<NamesDigest> {
    const { slots, state } = this.#replica;
    const names = new NamesDigest(slots.floorsWithin([span]));
    const [first, last] = groupsOf(span);
    const slices = new Slices();
    this.#open = [];
    let after: Buffer | undefined = Buffer.from([first >> 16, (first >> 8) & 0xff, first & 0xff]);
    while (after !== undefined) {
      if (slices.isOver) await slices.next();
      const { listed, next }: { listed: Listed[]; next: Buffer | undefined } = state.list(
        after,
        PAGE,
      );
      for (const { entryKey, register } of listed)
        if (slotGroup(entryKey) <= last) this.#note(names, entryKey, register);
      after = next !== undefined && slotGroup(next) <= last ? next : undefined;
    }
    return names;
  }

  /** Finishes what kept the names from being the same, if anything did: one after the other. */
  async #finishOpen(): Promise<void> {
    const open = this.#open.splice(0);
    for (const registerKey of open) {
      if (this.#stopped) return;
      // One that is damaged here is copied by others who know it.
      const entry = this.#replica.state.readable(keyOf(registerKey));
      if (entry?.register.accepted === undefined) continue;
      entry.pins += 1;
      await this.#options
        .finish(entry)
        .catch(() => {}) // the next attempt finds it again
        .finally(() => {
          entry.pins -= 1;
        });
    }
  }

  #isSame({ key, version, digest }: BeingForgotten["keys"][number], floor: number): boolean {
    const { register } = this.#replica.state.peek(keyOf(Buffer.from(key, "base64")));
    const own = tombstoneOf(register);
    return own?.version === version && own.digest === digest && version < floor;
  }

  /** Does what the attempt's outcome asks of this replica, once. */
  async #settle(number: number, outcome: "committed" | "aborted"): Promise<void> {
    const { slots } = this.#replica;
    const { forgetting } = slots;
    if (forgetting?.number !== number || forgetting.stage !== "frozen") return;
    if (outcome === "aborted") {
      slots.endForgetting();
      void this.#finishOpen();
      return;
    }
    await commitForgetting(this.#replica);
    monitor.add(forgotten, forgetting.keys.length);
    this.#endLater(0);
  }

  /** Sees to it that what is frozen here ends, and that what was forgotten is removed. */
  #endLater(ms: number): void {
    this.#ending ??= this.#end(ms).finally(() => {
      this.#ending = undefined;
      if (this.#replica.slots.forgetting !== undefined && !this.#stopped) this.#endLater(HEAR_MS);
    });
  }

  async #end(firstMs: number): Promise<void> {
    const { slots, state, log } = this.#replica;
    const beganMs = monotonicMs();
    for (let waitMs = firstMs; !this.#stopped; waitMs = HEAR_MS) {
      if (waitMs > 0) await slots.thawed(waitMs);
      const { forgetting } = slots;
      if (forgetting === undefined || this.#stopped) return;
      try {
        if (forgetting.stage === "frozen") await this.#hear(forgetting.number, beganMs);
        else {
          await state.checkpoint();
          if (state.isForgottenRemoved) slots.endForgetting();
        }
      } catch (error) {
        log.debug({ reason: RpcError.from(error).message }, "what is forgotten waits");
      }
    }
  }

  /** Reads how the attempt ended, and ends it when nobody else has. */
  async #hear(number: number, beganMs: number): Promise<void> {
    const { row } = await this.#read();
    let outcome = outcomeOf(row, number);
    if (outcome === "open" && monotonicMs() - beganMs >= ABORT_AFTER_MS)
      outcome = await this.#close(number, Outcome.ABORTED);
    if (outcome === "lost")
      this.#replica.log.error(
        { number },
        "the row that says whether tombstones are forgotten is lost",
      );
    if (outcome === "committed" || outcome === "aborted") await this.#settle(number, outcome);
  }

  async #read(): Promise<{ row: ForgetOutcome; version: number }> {
    const limits = { timeoutMs: FORGET_TIMEOUT_MS };
    const reply = await this.#control.get({ key: this.#rowKey, level: Level.STRONG }, limits);
    const { found, value, version } = reply;
    if (!found) return { row: { number: 0, outcome: Outcome.ABORTED }, version };
    return { row: fromBytes(decodeForgetOutcome, value), version };
  }

  async #replace(row: ForgetOutcome, expectedVersion: number): Promise<boolean> {
    const write = { case: "put" as const, value: toBytes(encodeForgetOutcome, row) };
    const request = { key: this.#rowKey, write, expectedVersion };
    return (await this.#control.write(request, { timeoutMs: FORGET_TIMEOUT_MS })).applied;
  }

  /** A new attempt; throws when somebody else changed the row meanwhile. */
  async #begin({ row, version }: { row: ForgetOutcome; version: number }): Promise<ForgetOutcome> {
    const next = { number: row.number + 1, outcome: Outcome.OPEN };
    if (await this.#replace(next, version)) return next;
    throw new RpcError("ABORTED", "another attempt began meanwhile");
  }

  /** Ends the attempt so, unless it has ended already; how it ended. */
  async #close(
    number: number,
    outcome: typeof Outcome.COMMITTED | typeof Outcome.ABORTED,
  ): Promise<ReturnType<typeof outcomeOf>> {
    for (;;) {
      const { row, version } = await this.#read();
      const now = outcomeOf(row, number);
      if (now !== "open") return now;
      if (await this.#replace({ number, outcome }, version))
        return outcome === Outcome.COMMITTED ? "committed" : "aborted";
      this.#requireRunning();
    }
  }

  #requireRunning(): void {
    if (this.#stopped) throw new RpcError("UNAVAILABLE", "this replica is stopping");
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#replica.slots.wake();
    await this.#ending;
  }
}
