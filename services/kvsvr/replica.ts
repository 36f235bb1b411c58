/**
 * One replica of a KV group: what its parts share, and the answers it gives the other replicas.
 *
 *   proposals.ts  writes: proposes versions          reads.ts     linearizable reads
 *   repair.ts     fetches what others have           pipeline/    streams decided versions
 *   storage/      registers, log, engine             protocol/    every decision, pure
 */

import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type {
  AcceptRequest,
  FetchReply,
  FetchRequest,
  ListVersionsReply,
  ListVersionsRequest,
  Owner,
  PipelineReply,
  PipelineRequest,
  PrepareRequest,
  QueryVersionReply,
  QueryVersionRequest,
  QueryVersionsReply,
  QueryVersionsRequest,
  VoteReply,
  VoteRequest,
  VotesReply,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import type { Logger } from "../svrkit/log.ts";
import { FETCH_BYTES_MAX, KEY_BYTES_MAX } from "./limits.ts";
import type { Peers } from "./peers.ts";
import { Outbox } from "./pipeline/outbox.ts";
import { ProtocolViolation } from "./protocol/assert.ts";
import { NO_BALLOT } from "./protocol/ballot.ts";
import { type Input, isCurrent, type Step } from "./protocol/register.ts";
import { RecordDamaged } from "./storage/engine.ts";
import type { Entry, State } from "./storage/state.ts";

export interface ReplicaParts {
  readonly self: Owner;
  readonly epoch: number;
  readonly state: State;
  readonly peers: Peers;
  readonly log: Logger;
  /** Going on would risk promises: must end the process. */
  readonly fatal: (error: Error) => void;
}

export class Replica {
  readonly self: Owner;
  readonly epoch: number;
  readonly state: State;
  readonly peers: Peers;
  readonly log: Logger;
  readonly #fatal: (error: Error) => void;
  readonly #outboxes: ReadonlyMap<number, Outbox>;
  /** Called with keys whose newest version is known and not held. */
  onBehind: (entry: Entry) => void = () => {};
  /** Called when a peer says that it dropped part of its pipeline to us. */
  onGap: (peer: number) => void = () => {};
  /** Why this replica may not vote or serve; undefined when it may. */
  barred: string | undefined = "it has not met another replica since it started";

  constructor(parts: ReplicaParts) {
    this.self = parts.self;
    this.epoch = parts.epoch;
    this.state = parts.state;
    this.peers = parts.peers;
    this.log = parts.log;
    this.#fatal = parts.fatal;
    this.#outboxes = new Map(
      parts.peers.others.map((peer) => [peer, new Outbox(parts.peers, peer, parts.epoch)]),
    );
  }

  entry(key: Key | undefined): Entry {
    requireArgument(
      key !== undefined && key.keyspace !== 0,
      "the request names no key or keyspace",
    );
    requireArgument(
      key.key.length > 0 && key.key.length <= KEY_BYTES_MAX,
      `a key of ${key.key.length} bytes: 1 to ${KEY_BYTES_MAX} are allowed`,
    );
    try {
      return this.state.entry(key);
    } catch (error) {
      if (error instanceof RecordDamaged)
        throw new RpcError("UNAVAILABLE", error.message, { cause: error });
      throw error;
    }
  }

  /** Steps a register; a broken rule of the protocol ends the process, loudly. */
  take(entry: Entry, input: Input): Step {
    try {
      const taken = this.state.take(entry, input);
      if (!isCurrent(entry.register)) this.onBehind(entry);
      return taken;
    } catch (error) {
      if (error instanceof ProtocolViolation) this.#fatal(error);
      throw error;
    }
  }

  outbox(peer: number): Outbox {
    return this.#outboxes.get(peer)!;
  }

  /** Votes on many keys; one that fails is a vote that is missing, and hurts no other. */
  async vote(request: VoteRequest): Promise<VotesReply> {
    const votes = request.proposals.map(({ proposal }) => {
      if (proposal?.case === "prepare") return this.#prepare(proposal.value).catch(missingVote);
      if (proposal?.case === "accept") return this.#accept(proposal.value).catch(missingVote);
      return barredVote("an empty proposal");
    });
    return { votes: await Promise.all(votes) };
  }

  async #prepare(request: PrepareRequest): Promise<VoteReply> {
    const bar = this.#bar(request.epoch);
    if (bar !== undefined) return barredVote(bar);
    const { version, baseDigest } = request;
    const input: Input = {
      kind: "prepare",
      version,
      baseDigest,
      ballot: request.ballot ?? NO_BALLOT,
    };
    return this.#voteOn(this.entry(request.key), input);
  }

  async #accept(request: AcceptRequest): Promise<VoteReply> {
    const bar = this.#bar(request.epoch);
    if (bar !== undefined) return barredVote(bar);
    const { decision, baseDigest } = request;
    requireArgument(decision !== undefined, "an Accept without a value");
    const input: Input = {
      kind: "accept",
      ballot: request.ballot ?? NO_BALLOT,
      decision,
      baseDigest,
    };
    return this.#voteOn(this.entry(request.key), input);
  }

  async #voteOn(entry: Entry, input: Input): Promise<VoteReply> {
    const { vote } = this.take(entry, input);
    if (vote?.granted !== true) return refusedVote(entry);
    await this.state.durable(entry);
    return {
      vote: {
        case: "granted",
        value: { acceptedBallot: vote.accepted?.ballot, accepted: vote.accepted?.decision },
      },
    };
  }

  async queryVersions(request: QueryVersionsRequest): Promise<QueryVersionsReply> {
    const replies = request.queries.map((query) =>
      this.#queryVersion(query).catch((error: unknown) => unknownVersion(RpcError.from(error))),
    );
    return { replies: await Promise.all(replies) };
  }

  async #queryVersion(request: QueryVersionRequest): Promise<QueryVersionReply> {
    const bar = this.#bar(request.epoch);
    const entry = this.entry(request.key);
    // Answered from durable state: what is not yet on the disk could be forgotten again.
    if (!this.state.isDurable(entry)) await this.state.durable(entry);
    const { known, accepted } = entry.register;
    return {
      knownVersion: known.version,
      knownDigest: known.digest,
      knownOwner: known.owner,
      pending: accepted !== undefined,
      pendingDigest: accepted?.decision.digest ?? 0,
      holds: isCurrent(entry.register),
      barred: bar ?? "",
    };
  }

  /** The state held here, above the version the asker has; `unavailable` when it is not newer. */
  fetch(request: FetchRequest): FetchReply {
    const bar = this.#bar(request.epoch);
    const entry = this.entry(request.key);
    const { known, held, heldVersion, heldDigest } = entry.register;
    const owner = known.version === heldVersion ? known.owner : undefined;
    const base = { version: heldVersion, digest: heldDigest, owner, barred: bar ?? "" };
    const useless = heldVersion <= request.aboveVersion || heldDigest === 0;
    if (bar !== undefined || useless || held.model === "none") {
      return { ...base, body: undefined, unavailable: true };
    }
    if (held.model === "key")
      return { ...base, body: { case: "key", value: held.state }, unavailable: false };
    const { rows, throughVersion } = this.#diff(entry, request);
    const { lastNumber, operations } = held;
    return {
      ...base,
      body: { case: "table", value: { rows, lastNumber, operations, throughVersion } },
      unavailable: false,
    };
  }

  /** Rows above a version, whole versions only, up to about the size asked for. */
  #diff(entry: Entry, request: FetchRequest) {
    const limit = Math.min(request.bytesMax || FETCH_BYTES_MAX, FETCH_BYTES_MAX);
    const rows: { row: Uint8Array; value: Uint8Array; deleted: boolean; version: number }[] = [];
    let bytes = 0;
    for (const { row, value, deleted, version } of this.state.changes(
      entry,
      request.aboveVersion,
    )) {
      const last = rows.at(-1)?.version ?? version;
      if (bytes > limit && version !== last) return { rows, throughVersion: last };
      rows.push({ row, value, deleted, version });
      bytes += row.length + value.length + 16;
    }
    return { rows, throughVersion: entry.register.heldVersion };
  }

  pipeline(request: PipelineRequest): PipelineReply {
    const bar = this.#bar(request.epoch);
    if (bar !== undefined) return { barred: bar };
    for (const { key, item, baseDigest } of request.items) {
      const entry = this.entry(key);
      if (item?.case === "notice") this.take(entry, { kind: "notice", ...item.value });
      if (item?.case === "decision")
        this.take(entry, { kind: "learn", decision: item.value, baseDigest });
    }
    if (request.gap) this.onGap(request.from);
    return { barred: "" };
  }

  listVersions(request: ListVersionsRequest): ListVersionsReply {
    const bar = this.#bar(request.epoch);
    if (bar !== undefined) return { versions: [], cursor: new Uint8Array(0), barred: bar };
    const limit = Math.min(request.limit || 1_000, 10_000);
    const after = request.cursor.length === 0 ? undefined : Buffer.from(request.cursor);
    const listed = this.state.list(after, limit);
    return {
      versions: listed.map(({ entryKey, register }) => ({
        key: { keyspace: entryKey[0]!, key: entryKey.subarray(4) },
        version: register.known.version,
        digest: register.known.digest,
        table: register.held.model === "table",
      })),
      cursor: listed.length < limit ? new Uint8Array(0) : listed.at(-1)!.entryKey,
      barred: "",
    };
  }

  #catchUpUntilMs = 0;

  /** Votes, but leaves clients to the others for at most so long. */
  catchUp(forMs: number): void {
    this.#catchUpUntilMs = monotonicMs() + forMs;
  }

  caughtUp(): void {
    this.#catchUpUntilMs = 0;
  }

  get isServing(): boolean {
    return this.barred === undefined && monotonicMs() >= this.#catchUpUntilMs;
  }

  /** Throws UNAVAILABLE while this replica may not serve clients: another one can. */
  requireServing(): void {
    if (this.isServing) return;
    const why = this.barred ?? "it catches up with the others";
    throw new RpcError("UNAVAILABLE", `replica ${this.self.replica} may not serve: ${why}`);
  }

  #bar(epoch: number): string | undefined {
    if (this.barred !== undefined) return this.barred;
    return epoch === this.epoch
      ? undefined
      : `its group epoch is ${this.epoch}, the caller's ${epoch}`;
  }

  stop(): void {
    for (const outbox of this.#outboxes.values()) outbox.stop();
  }
}

function missingVote(error: unknown): VoteReply {
  return barredVote(RpcError.from(error).message);
}

/** "I do not know" (S3): counts for nothing. */
function unknownVersion(error: RpcError): QueryVersionReply {
  const nothing = { knownVersion: 0, knownDigest: 0, knownOwner: undefined };
  return { ...nothing, pending: false, pendingDigest: 0, holds: false, barred: error.message };
}

function barredVote(reason: string): VoteReply {
  const nothing = { knownVersion: 0, knownDigest: 0, knownOwner: undefined, promised: undefined };
  return { vote: { case: "refused", value: { ...nothing, barred: reason } } };
}

function refusedVote(entry: Entry): VoteReply {
  const { known, promised } = entry.register;
  const { version, digest, owner } = known;
  return {
    vote: {
      case: "refused",
      value: {
        knownVersion: version,
        knownDigest: digest,
        knownOwner: owner,
        promised,
        barred: "",
      },
    },
  };
}
