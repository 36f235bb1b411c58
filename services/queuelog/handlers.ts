/**
 * The methods of Log, for every group whose log runs in this process. A process registers the
 * methods once; each further log joins the group table behind them, and requests name their group.
 */
import {
  type AdmitLogReply,
  type AdmitLogRequest,
  type FenceReply,
  type FenceRequest,
  type IntroduceLogReply,
  type IntroduceLogRequest,
  type ListStandingsReply,
  type ListStandingsRequest,
  type ListStreamsReply,
  type ListStreamsRequest,
  Log,
  type LogAppendReply,
  type LogAppendRequest,
  type LogReadReply,
  type LogReadRequest,
  type TrimReply,
  type TrimRequest,
} from "../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import type { Server } from "../svrkit/server.ts";
import type { Membership } from "./membership.ts";
import type { LogEngine } from "./storage/engine.ts";

const STREAM_LENGTH_MAX = 256;

const handlersOf = new WeakMap<Server, LogHandlers>();

/** A log that takes part in its group as far as the others know its disk. */
export interface ServedLog {
  readonly engine: LogEngine;
  readonly membership: Pick<Membership, "barred" | "introduced" | "admit">;
}

/** Serves a group's log through `server`, beside the other groups' logs. */
export function serveLog(server: Server, group: number, log: ServedLog): void {
  let handlers = handlersOf.get(server);
  if (handlers === undefined) {
    handlers = new LogHandlers();
    handlersOf.set(server, handlers);
    handlers.register(server);
  }
  handlers.addGroup(group, log);
}

class LogHandlers {
  readonly #logs = new Map<number, ServedLog>();

  addGroup(group: number, log: ServedLog): void {
    if (this.#logs.has(group)) throw new Error(`two logs of group ${group} in one process`);
    this.#logs.set(group, log);
  }

  register(server: Server): void {
    server.add(Log.fence, (request) => this.#fence(request));
    server.add(Log.append, (request) => this.#append(request));
    server.add(Log.read, (request) => this.#read(request));
    server.add(Log.trim, (request) => this.#trim(request));
    server.add(Log.listStreams, (request) => this.#list(request));
    server.add(Log.introduce, (request) => this.#introduce(request));
    server.add(Log.admit, (request) => this.#admit(request));
    server.add(Log.listStandings, (request) => this.#standings(request));
  }

  #fence({ group, stream, epoch }: FenceRequest): Promise<FenceReply> {
    requireStream(stream);
    requireArgument(epoch !== undefined && epoch.round > 0, "a fence needs an epoch");
    return this.#engine(group).fence(stream, epoch);
  }

  #append({ group, ...request }: LogAppendRequest): Promise<LogAppendReply> {
    const { stream, epoch, entries, settledThrough } = request;
    requireStream(stream);
    requireArgument(epoch !== undefined && epoch.round > 0, "an append needs an epoch");
    requireArgument(
      entries.every((entry) => entry.slot > 0 && entry.epoch === undefined),
      "an entry needs a slot, and is of the request's epoch",
    );
    return this.#engine(group).append({ stream, epoch, entries, settledThrough });
  }

  #read({ group, stream, after }: LogReadRequest): Promise<LogReadReply> {
    return this.#engine(group).read(stream, after);
  }

  #trim({ group, points }: TrimRequest): TrimReply {
    const engine = this.#engine(group);
    for (const { stream, through } of points) engine.trim(stream, through);
    return {};
  }

  #list({ group }: ListStreamsRequest): ListStreamsReply {
    return { streams: this.#engine(group).list() };
  }

  #introduce(request: IntroduceLogRequest): Promise<IntroduceLogReply> {
    return this.#log(request.group).membership.introduced(request);
  }

  async #admit(request: AdmitLogRequest): Promise<AdmitLogReply> {
    this.#engine(request.group);
    await this.#log(request.group).membership.admit(request);
    return {};
  }

  #standings({ group, after }: ListStandingsRequest): ListStandingsReply {
    return this.#engine(group).standings(after);
  }

  /** A log that lost its memory has no part in anything, and what it holds is no answer. */
  #engine(group: number): LogEngine {
    const { engine, membership } = this.#log(group);
    const { barred } = membership;
    if (barred !== undefined)
      throw new RpcError("UNAVAILABLE", `this log does not vote: ${barred}`);
    return engine;
  }

  #log(group: number): ServedLog {
    const log = this.#logs.get(group);
    if (log !== undefined) return log;
    throw new RpcError("UNAVAILABLE", `no log of group ${group} runs in this process`);
  }
}

function requireStream(stream: string): void {
  const { length } = stream;
  requireArgument(
    length > 0 && length <= STREAM_LENGTH_MAX,
    "a stream's name has 1-256 characters",
  );
}
