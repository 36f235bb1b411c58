/**
 * What a log is to its handlers: the rules of one log (protocol/stream-log.ts) made durable. Every
 * engine passes engine.suite.ts.
 *
 * A promise returned here resolves only when what it says would survive a crash; when the storage
 * takes no writes, `fence` and `append` reject with STORAGE_REFUSED, and `read` and `list` go on.
 */
import type {
  Epoch,
  FenceReply,
  ListStandingsReply,
  LogAppendReply,
  LogEntry,
  LogReadReply,
  StreamStanding,
  StreamState,
} from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";

export interface LogEngine {
  fence(stream: string, epoch: Epoch): Promise<FenceReply>;
  append(request: EngineAppend): Promise<LogAppendReply>;
  read(stream: string, after: number): Promise<LogReadReply>;
  /** A hint: after a crash the entries may be back. */
  trim(stream: string, through: number): void;
  /** Streams with untrimmed entries. */
  list(): StreamState[];
  /** How streams behind this name stand, those without entries too, in the order of their names. */
  standings(after: string): ListStandingsReply;
  /** Takes over what another log holds of a stream, as if it had been written here. */
  adopt(standing: StreamStanding, entries: readonly LogEntry[]): Promise<void>;
  close(): Promise<void>;
}

export interface EngineAppend {
  readonly stream: string;
  readonly epoch: Epoch;
  readonly entries: readonly LogEntry[];
  readonly settledThrough: number;
}
