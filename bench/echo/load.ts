/** Load on a caller: so many calls always open, or calls at a rate whatever becomes of them. */
import { monotonicMs } from "../../services/svrkit/call.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { percentile } from "../percentile.ts";

export interface Caller {
  /** Resolves to the length of the payload that came back. */
  call(payload: Buffer): Promise<number>;
  close(): void;
}

export interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const WARM_UP_MS = 700;

/** `inFlight` calls are always open. */
export async function closedLoop(
  caller: Caller,
  { bytes, inFlight, seconds }: { bytes: number; inFlight: number; seconds: number },
): Promise<Measured> {
  const payload = Buffer.alloc(bytes, 7);
  const latencies: number[] = [];
  const warmUntil = monotonicMs() + WARM_UP_MS;
  const until = warmUntil + seconds * 1_000;
  const loop = async () => {
    for (let now = monotonicMs(); now < until; ) {
      const started = now;
      if ((await caller.call(payload)) !== bytes) throw new Error("the echo is not what was sent");
      now = monotonicMs();
      if (started >= warmUntil) latencies.push(now - started);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, loop));
  return measured(latencies, seconds);
}

/** Poisson arrivals; latency from the time at which a call was due. */
export async function openLoop(
  caller: Caller,
  { bytes, perSecond, seconds }: { bytes: number; perSecond: number; seconds: number },
): Promise<Measured> {
  const payload = Buffer.alloc(bytes, 7);
  const latencies: number[] = [];
  const startedMs = monotonicMs();
  const forMs = WARM_UP_MS + seconds * 1_000;
  let dueMs = 0;
  let open = 0;
  while (dueMs < forMs) {
    const sinceMs = monotonicMs() - startedMs;
    while (dueMs <= sinceMs && dueMs < forMs) {
      const scheduledMs = dueMs;
      open += 1;
      void caller.call(payload).then(() => {
        open -= 1;
        const nowMs = monotonicMs() - startedMs;
        if (scheduledMs >= WARM_UP_MS) latencies.push(nowMs - scheduledMs);
      });
      dueMs += (-Math.log(1 - Math.random()) * 1_000) / perSecond;
    }
    // Turn by turn and not by timer, whose millisecond would be most of what is measured.
    await new Promise((resolve) => setImmediate(resolve));
  }
  while (open > 0) await rest(1);
  return measured(latencies, seconds);
}

function measured(latencies: number[], seconds: number): Measured {
  latencies.sort((a, b) => a - b);
  return {
    perSecond: Math.round(latencies.length / seconds),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
}
