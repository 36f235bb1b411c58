/** Load on a caller: so many calls always open, or calls at a rate whatever becomes of them. */
import { monotonicMs } from "../../services/svrkit/call.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { percentile } from "../percentile.ts";

export interface Caller {
  /** Resolves to the length of the payload that came back. */
  call(payload: Buffer): Promise<number>;
  close(): void;
}

/** Of calls that began after the warm-up; rate and latencies are of those that were answered. */
export interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Calls that were refused because the server, or this process, had too much to do. */
  readonly shed: number;
}

const WARM_UP_MS = 700;
/** A caller that was refused asks again after so long: at once it would only be refused faster. */
const AFTER_SHED_MS = 5;

/** Throws what is neither an answer nor a refusal: such a run measures nothing. */
async function isAnswered(caller: Caller, payload: Buffer): Promise<boolean> {
  try {
    if ((await caller.call(payload)) === payload.length) return true;
  } catch (error) {
    const isShed = error instanceof RpcError && SHED.has(error.code);
    if (isShed) return false;
    throw error;
  }
  throw new Error("the echo is not what was sent");
}

const SHED = new Set(["OVERLOADED", "RESOURCE_EXHAUSTED"]);

/** `inFlight` calls are always open. */
export async function closedLoop(
  caller: Caller,
  {
    bytes,
    inFlight,
    seconds,
    warmUpMs = WARM_UP_MS,
  }: { bytes: number; inFlight: number; seconds: number; warmUpMs?: number },
): Promise<Measured> {
  const payload = Buffer.alloc(bytes, 7);
  const latencies: number[] = [];
  let shed = 0;
  const warmUntil = monotonicMs() + warmUpMs;
  const until = warmUntil + seconds * 1_000;
  const loop = async () => {
    for (let now = monotonicMs(); now < until; ) {
      const started = now;
      const answered = await isAnswered(caller, payload);
      now = monotonicMs();
      if (started >= warmUntil && answered) latencies.push(now - started);
      if (answered) continue;
      if (started >= warmUntil) shed += 1;
      await rest(AFTER_SHED_MS);
      now = monotonicMs();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  return measured(latencies, { seconds, shed });
}

/** Poisson arrivals; latency from the time at which a call was due. */
export async function openLoop(
  caller: Caller,
  { bytes, perSecond, seconds }: { bytes: number; perSecond: number; seconds: number },
): Promise<Measured> {
  const payload = Buffer.alloc(bytes, 7);
  const latencies: number[] = [];
  let shed = 0;
  const startedMs = monotonicMs();
  const forMs = WARM_UP_MS + seconds * 1_000;
  let dueMs = 0;
  let open = 0;
  let failure: unknown;
  const callDueAt = async (scheduledMs: number) => {
    open += 1;
    try {
      const answered = await isAnswered(caller, payload);
      if (scheduledMs < WARM_UP_MS) return;
      if (answered) latencies.push(monotonicMs() - startedMs - scheduledMs);
      else shed += 1;
    } catch (error) {
      failure ??= error;
    } finally {
      open -= 1;
    }
  };
  while (dueMs < forMs && failure === undefined) {
    const sinceMs = monotonicMs() - startedMs;
    while (dueMs <= sinceMs && dueMs < forMs) {
      void callDueAt(dueMs);
      dueMs += (-Math.log(1 - Math.random()) * 1_000) / perSecond;
    }
    // Turn by turn and not by timer, whose millisecond would be most of what is measured.
    await new Promise((resolve) => setImmediate(resolve));
  }
  while (open > 0) await rest(1);
  if (failure !== undefined) throw failure;
  return measured(latencies, { seconds, shed });
}

function measured(
  latencies: number[],
  { seconds, shed }: { seconds: number; shed: number },
): Measured {
  latencies.sort((a, b) => a - b);
  return {
    perSecond: Math.round(latencies.length / seconds),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
    shed,
  };
}
