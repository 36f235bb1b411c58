/**
 * Working off groups: entries of a group's stream become messages in its table, then rows in its
 * members' inboxes, then the stream's offset moves on.
 *
 * A group is worked on step by step: the next entries are taken when the last step's rows are in
 * every inbox, and everything that came meanwhile makes one step. So the busier the machine, the
 * larger the steps and the cheaper a row.
 *
 * The state of a group stays in memory while this worker's steps follow one another. Whenever that
 * is in doubt (another worker took a step, a call failed midway) it is read again, and what the
 * table holds beyond `delivered` is delivered first: by somebody, once or twice, it makes no
 * difference to the inboxes.
 */
import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  GroupData,
  makeGroupMessagesRequest,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import {
  Consistency,
  type DeliveryTarget,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError } from "../../svrkit/errors.ts";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { hasBug } from "../../svrkit/planted.ts";
import { RecentlyUsed } from "../../svrkit/recently-used.ts";
import { inTrace, isSampled } from "../../svrkit/tracing/context.ts";
import { beginSpan, type Span } from "../../svrkit/tracing/span.ts";
import type { HookStreams } from "../hook-streams.ts";
import type { FanoutOptions } from "./config.ts";
import type { Delivering } from "./delivering.ts";
import { planBatch, type SlotEntry } from "./plan/batch.ts";
import { planTargets } from "./plan/delivery.ts";
import { type GroupState, groupStateOf } from "./plan/group-state.ts";

const TIMEOUT_MS = 5_000;
const PAGE_MESSAGES_MAX = 100;
/** Entries of the first step after taking over, each of which is looked up. */
const FIRST_ENTRIES_MAX = 200;
const NOTHING_WORKED: ReadonlySet<string> = new Set();

const steps = monitorId("fanout.steps");
const numbered = monitorId("fanout.messages_numbered");
const lost = monitorId("fanout.steps_lost");

interface Step {
  readonly groupId: string;
  readonly entries: readonly SlotEntry[];
  /** The group as this worker left it. */
  readonly known: GroupState | undefined;
  readonly state: GroupState;
}

interface Delivery {
  readonly groupId: string;
  readonly messages: readonly InboxMessage[];
  readonly targets: readonly DeliveryTarget[];
}

export interface GroupWorkerParts {
  readonly groups: Callee;
  readonly delivering: Pick<Delivering, "deliver">;
  readonly hooks: Pick<HookStreams, "append">;
  readonly log: Logger;
  readonly options: FanoutOptions;
}

export class GroupWorker {
  readonly #parts: GroupWorkerParts;
  readonly #states: RecentlyUsed<string, GroupState>;

  constructor(parts: GroupWorkerParts) {
    this.#parts = parts;
    this.#states = new RecentlyUsed(parts.options.groupsRememberedMax);
  }

  /**
   * Takes one step with entries from the front of `entries`. Resolves to the slot through which the
   * stream is worked off and delivered. One call at a time a group.
   */
  async step(groupId: string, entries: readonly SlotEntry[]): Promise<number> {
    const known = this.#states.get(groupId);
    // Not kept while its step is on the way: a step that fails leaves it in doubt.
    this.#states.delete(groupId);
    const state = known ?? (await this.#takeOver(groupId));
    if (state === undefined) {
      this.#parts.log.error(
        { groupId, ...inTrace(tracedOf(entries)?.trace) },
        "entries of a group that does not exist are left out",
      );
      return entries.at(-1)?.slot ?? 0;
    }
    const span = spanOf(entries);
    try {
      const through = await this.#work({ groupId, entries, known, state }, span?.context);
      span?.end();
      return through;
    } catch (error) {
      span?.end(RpcError.from(error).code);
      throw error;
    }
  }

  async #work(
    { groupId, entries, known, state }: Step,
    trace: Uint8Array | undefined,
  ): Promise<number> {
    const first = known === undefined ? entries.slice(0, FIRST_ENTRIES_MAX) : entries;
    const worked = known === undefined ? await this.#worked(groupId, first) : NOTHING_WORKED;
    const after = await this.#apply(state, { entries: first, worked }, trace);
    if (after === undefined) {
      monitor.add(lost, 1);
      return state.offset;
    }
    this.#states.set(groupId, after);
    return after.offset;
  }

  async #apply(
    state: GroupState,
    { entries, worked }: { entries: readonly SlotEntry[]; worked: ReadonlySet<string> },
    trace: Uint8Array | undefined,
  ): Promise<GroupState | undefined> {
    const { batchEntriesMax: entriesMax, batchBytesMax: bytesMax, ...limits } = this.#parts.options;
    const planned = planBatch(state, entries, { ...limits, entriesMax, bytesMax, worked });
    // A gap: this worker's memory is older than the group's table. Read again.
    if (planned === undefined) return undefined;
    const { request, after } = planned;
    const options = { timeoutMs: TIMEOUT_MS, trace };
    const { applied } = await this.#parts.groups.call(GroupData.apply, request, options);
    if (!applied) return undefined;
    monitor.add(steps, 1);
    monitor.add(numbered, request.messages.length);
    const range = { after: state.lastSequence, through: after.lastSequence };
    const targets = planTargets(after.members, range);
    await this.#deliver({ groupId: state.groupId, messages: request.messages, targets }, trace);
    return { ...after, deliveredSequence: after.lastSequence };
  }

  /** To the members, and to who is told of it besides: in one order, and again when either failed. */
  async #deliver(
    { groupId, messages, targets }: Delivery,
    trace: Uint8Array | undefined = undefined,
  ): Promise<void> {
    const { delivering, hooks } = this.#parts;
    await delivering.deliver(groupId, messages, targets, trace);
    await hooks.append(messages, "", { trace });
  }

  /** The group as its table has it, with everything in it delivered. */
  async #takeOver(groupId: string): Promise<GroupState | undefined> {
    const read = await this.#parts.groups.call(
      GroupData.read,
      { groupId, consistency: Consistency.STRONG },
      { timeoutMs: TIMEOUT_MS },
    );
    if (!read.exists) return undefined;
    const state = groupStateOf(groupId, read);
    const delivered = hasBug("delivered-too-early") ? state.lastSequence : state.deliveredSequence;
    for (let after = delivered; after < state.lastSequence; ) {
      const { messages } = await this.#parts.groups.call(
        GroupData.messages,
        makeGroupMessagesRequest({ groupId, afterSequence: after, limit: PAGE_MESSAGES_MAX }),
        { timeoutMs: TIMEOUT_MS },
      );
      const last = messages.at(-1)?.sequence ?? after;
      if (last <= after) throw new RpcError("INTERNAL", `${groupId} lacks message ${after + 1}`);
      const through = Math.min(last, state.lastSequence);
      const targets = planTargets(state.members, { after, through });
      await this.#deliver({ groupId, messages, targets });
      after = through;
    }
    return { ...state, deliveredSequence: state.lastSequence };
  }

  /** Which of the entries were worked off before: one can come again, long after its first slot. */
  async #worked(groupId: string, entries: readonly SlotEntry[]): Promise<ReadonlySet<string>> {
    const entryIds = entries.flatMap(({ entry }) => (entry === undefined ? [] : [entry.id]));
    const { outcomes } = await this.#parts.groups.call(
      GroupData.entryOutcomes,
      { groupId, entryIds },
      { timeoutMs: TIMEOUT_MS },
    );
    return new Set(outcomes.filter((outcome) => outcome.done).map((outcome) => outcome.entryId));
  }
}

/** The first entry that is traced. */
function tracedOf(entries: readonly SlotEntry[]): SlotEntry["entry"] {
  return entries.find(({ entry }) => entry !== undefined && isSampled(entry.trace))?.entry;
}

/** Of a step with a traced entry: it goes on in the trace of the first one. */
function spanOf(entries: readonly SlotEntry[]): Span | undefined {
  const traced = tracedOf(entries);
  if (traced === undefined) return undefined;
  const facts = { name: "fanout", kind: "queue", startedMs: monotonicMs() } as const;
  const span = beginSpan(traced.trace, facts);
  span?.set("message", traced.id);
  span?.set("entries", String(entries.length));
  return span;
}
