/**
 * The three logs of a group as one: a call goes to them at once and is decided by two of them
 * (protocol/quorum.ts). What they decide, in words of the caller, is the result; nothing is thrown
 * but defects.
 */
import {
  type Epoch,
  type FenceReply,
  Log,
  type LogEntry,
  type StreamState,
  type TrimPoint,
} from "../../protos/gen/tricampus/queue/v1/log_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import { LOG_REST_MS, LOG_TIMEOUT_MS } from "./limits.ts";
import { highestEpoch } from "./protocol/epoch.ts";
import { LOGS, logsToAsk, tally, type Vote } from "./protocol/quorum.ts";
import type { FenceAnswer } from "./protocol/tail.ts";

export type Decided<T> =
  | { readonly state: "settled"; readonly answers: readonly T[] }
  | { readonly state: "fenced"; readonly promised: Epoch }
  | { readonly state: "lost"; readonly reason: string };

interface Grantable {
  readonly granted: boolean;
  readonly promised: Epoch | undefined;
}

export interface LogAppending {
  readonly stream: string;
  readonly epoch: Epoch;
  readonly entries: readonly LogEntry[];
  readonly settledThrough: number;
}

export class LogGroup {
  readonly group: number;
  readonly #callee: Callee;
  readonly #restUntilMs = new Array<number>(LOGS).fill(0);

  /** `callee`: the three logs in the order of campuses. */
  constructor(group: number, callee: Callee) {
    this.group = group;
    this.#callee = callee;
  }

  fence(stream: string, epoch: Epoch): Promise<Decided<FenceAnswer>> {
    const { group } = this;
    return this.#decide(async (log) => {
      const options = { order: [log], timeoutMs: LOG_TIMEOUT_MS };
      const reply = await this.#callee.call(Log.fence, { group, stream, epoch }, options);
      if (!reply.granted) return { ...reply, entries: [] };
      return { ...reply, entries: await this.#allEntries(log, stream, reply) };
    });
  }

  append(request: LogAppending, trace?: Uint8Array): Promise<Decided<unknown>> {
    const message = { group: this.group, ...request, entries: [...request.entries] };
    return this.#decide((log) =>
      this.#callee.call(Log.append, message, { order: [log], timeoutMs: LOG_TIMEOUT_MS, trace }),
    );
  }

  /** Tells every log that answers; the hint is not repeated. */
  trim(points: TrimPoint[]): void {
    const usable = this.#usable();
    for (let log = 0; log < LOGS; log++) {
      if (!usable[log]) continue;
      const options = { timeoutMs: LOG_TIMEOUT_MS };
      this.#callee.callOne(log, Log.trim, { group: this.group, points }, options).catch(() => {}); // a hint
    }
  }

  /** What one log holds that nobody consumed; that of `own` when it answers. */
  async untrimmed(own: number, timeoutMs: number): Promise<readonly StreamState[]> {
    const order = [own, (own + 1) % LOGS, (own + 2) % LOGS];
    const reply = await this.#callee.call(
      Log.listStreams,
      { group: this.group },
      { order, timeoutMs },
    );
    return reply.streams;
  }

  async #allEntries(log: number, stream: string, first: FenceReply): Promise<readonly LogEntry[]> {
    const entries = [...first.entries];
    for (let more = first.more; more; ) {
      const after = entries.at(-1)!.slot;
      const options = { order: [log], timeoutMs: LOG_TIMEOUT_MS };
      const page = await this.#callee.call(Log.read, { group: this.group, stream, after }, options);
      for (const entry of page.entries) entries.push(entry);
      more = page.more && page.entries.length > 0;
    }
    return entries;
  }

  #usable(): boolean[] {
    const nowMs = monotonicMs();
    return this.#restUntilMs.map(
      (untilMs, log) => untilMs <= nowMs && this.#callee.peers[log]!.usable,
    );
  }

  #decide<T extends Grantable>(ask: (log: number) => Promise<T>): Promise<Decided<T>> {
    return new Promise((resolve, reject) => {
      const votes = new Array<Vote>(LOGS).fill("unasked");
      const answers: T[] = [];
      const promised: (Epoch | undefined)[] = [];
      let reason = "";
      const step = () => {
        for (const log of logsToAsk(votes, this.#usable())) {
          votes[log] = "pending";
          ask(log).then(
            (answer) => {
              votes[log] = answer.granted ? "granted" : "refused";
              if (answer.granted) answers.push(answer);
              else promised.push(answer.promised);
              step();
            },
            (error: unknown) => {
              if (!(error instanceof RpcError)) return reject(error);
              votes[log] = "failed";
              reason = error.message;
              this.#restUntilMs[log] = monotonicMs() + LOG_REST_MS;
              step();
            },
          );
        }
        const outcome = tally(votes);
        // Later answers resolve again, which does nothing.
        if (outcome === "settled") resolve({ state: "settled", answers: [...answers] });
        if (outcome === "fenced") resolve({ state: "fenced", promised: highestEpoch(promised) });
        if (outcome === "lost") resolve({ state: "lost", reason });
      };
      step();
    });
  }
}
