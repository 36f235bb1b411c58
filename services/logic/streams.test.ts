import { afterEach, expect, test, vi } from "vitest";
import type {
  DeadLetter,
  StreamEntries,
  StreamPosition,
} from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { silentLogger } from "../svrkit/log.ts";
import { keptLog } from "../svrkit/testing/kept-log.ts";
import { newTrace, traceIdOf } from "../svrkit/tracing/context.ts";
import { type SlotEntry, Streams } from "./streams.ts";

/** The queue's edge: gives what was not given, and notes what is consumed. */
class QueueEdge {
  readonly lengths = new Map<string, number>();
  readonly consumedThrough = new Map<string, number>();
  readonly buried: DeadLetter[] = [];
  fails = 0;
  /** Longer where an hour passes in a test. */
  pollMs = 1;

  async poll({ positions }: { positions: readonly StreamPosition[] }): Promise<StreamEntries[]> {
    await new Promise((resolve) => setTimeout(resolve, this.pollMs));
    if (this.fails-- > 0) throw new RpcError("UNAVAILABLE", "no queue");
    const given = new Map(positions.map(({ stream, through }) => [stream, through]));
    return [...this.lengths].flatMap(([stream, length]) => {
      const after = Math.max(this.consumedThrough.get(stream) ?? 0, given.get(stream) ?? 0);
      const entries = Array.from({ length: Math.max(0, length - after) }, (_, i) => {
        const slot = after + i + 1;
        return { slot, id: Buffer.from(`${slot}`), payload: Buffer.of(slot % 256), void: false };
      });
      return entries.length === 0 ? [] : [{ stream, after, entries }];
    });
  }

  async consumed(positions: readonly StreamPosition[]): Promise<void> {
    for (const { stream, through } of positions) this.consumedThrough.set(stream, through);
  }

  async bury(letters: readonly DeadLetter[]): Promise<void> {
    this.buried.push(...letters);
  }
}

const stops: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop();
});

type Step = (stream: string, entries: readonly SlotEntry<number>[]) => Promise<number>;

const TRACE = newTrace();
const readByte = (payload: Uint8Array) => payload[0]!;

function run(step: Step, read = readByte, { log = silentLogger(), queue = new QueueEdge() } = {}) {
  const stopping = new AbortController();
  const traceOf = () => TRACE;
  const parts = { topic: "", queue, worker: { step }, log, read, traceOf, now: () => 7 };
  const running = new Streams({ ...parts, stopped: stopping.signal, streamsMax: 2 }).run();
  stops.push(async () => {
    stopping.abort();
    await running;
  });
  return { queue, stopping, running };
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

test("streams: one step at a time a stream, streams side by side up to the limit", async () => {
  const busy = new Set<string>();
  let most = 0;
  const { queue } = run(async (stream, entries) => {
    expect(busy.has(stream)).toBe(false);
    busy.add(stream);
    most = Math.max(most, busy.size);
    await pause(5);
    busy.delete(stream);
    return entries[0]!.slot;
  });
  for (const stream of ["g1", "g2", "g3"]) queue.lengths.set(stream, 3);
  const done = { g1: 3, g2: 3, g3: 3 };
  await expect.poll(() => Object.fromEntries(queue.consumedThrough)).toEqual(done);
  expect(most).toBe(2);
});

test("streams: what comes during a step makes the next one", async () => {
  const steps: number[][] = [];
  const { queue } = run(async (_stream, entries) => {
    steps.push(entries.map((entry) => entry.slot));
    await pause(30);
    return entries.at(-1)!.slot;
  });
  queue.lengths.set("g1", 1);
  await expect.poll(() => steps.length).toBe(1);
  queue.lengths.set("g1", 4);
  await expect.poll(() => queue.consumedThrough.get("g1")).toBe(4);
  expect(steps).toEqual([[1], [2, 3, 4]]);
});

test("streams: a step that fails is taken again, and nothing is consumed before it worked", async () => {
  let attempts = 0;
  const { queue } = run(async (_stream, entries) => {
    attempts += 1;
    expect(queue.consumedThrough.size).toBe(0);
    if (attempts === 1) throw new RpcError("UNAVAILABLE", "no quorum");
    return attempts === 2 ? 0 : entries.at(-1)!.slot;
  });
  queue.lengths.set("g1", 2);
  await expect.poll(() => queue.consumedThrough.get("g1")).toBe(2);
  expect(attempts).toBe(3);
});

test("streams: a queue that does not answer is asked again", async () => {
  const { queue } = run(async (_stream, entries) => entries.at(-1)!.slot);
  queue.fails = 2;
  queue.lengths.set("g1", 1);
  await expect.poll(() => queue.consumedThrough.get("g1")).toBe(1);
});

test("streams: a long stream goes through a bounded buffer", async () => {
  let longest = 0;
  const { queue } = run(async (_stream, entries) => {
    longest = Math.max(longest, entries.length);
    await pause(1);
    return entries[Math.min(199, entries.length - 1)]!.slot;
  });
  queue.lengths.set("g1", 3_000);
  await expect.poll(() => queue.consumedThrough.get("g1"), { timeout: 5_000 }).toBe(3_000);
  expect(longest).toBe(1_000);
});

test("streams: two readers of one queue, as during a roll, lose nothing between them", async () => {
  const queue = new QueueEdge();
  const told = new Set<number>();
  const tell =
    (everyMs: number) => async (_stream: string, entries: readonly SlotEntry<number>[]) => {
      const [first] = entries;
      await pause(everyMs);
      told.add(first!.slot);
      return first!.slot;
    };
  run(tell(1), readByte, { queue });
  const gone = run(tell(3), readByte, { queue });
  queue.lengths.set("events/1", 60);
  await expect.poll(() => told.size).toBeGreaterThan(10);
  gone.stopping.abort();
  await expect.poll(() => queue.consumedThrough.get("events/1")).toBe(60);
  expect([...told].toSorted((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
});

test("streams: entries that are too large together go one by one at once, and none is buried", async () => {
  const steps: number[] = [];
  const { queue } = run(async (_stream, entries) => {
    steps.push(entries.length);
    if (entries.length > 1) throw new RpcError("TOO_LARGE", "no change so large");
    return entries[0]!.slot;
  });
  queue.lengths.set("g1", 4);
  await expect.poll(() => queue.consumedThrough.get("g1")).toBe(4);
  expect(steps).toEqual([4, 1, 1, 1, 1]);
  expect(queue.buried).toEqual([]);
});

test("streams: an outage that answers INTERNAL buries nothing", async () => {
  vi.useFakeTimers();
  let isOut = true;
  const { queue, stopping, running } = run(async (_stream, given) => {
    if (isOut) throw new RpcError("INTERNAL", "a defect");
    return given.at(-1)!.slot;
  });
  queue.pollMs = 1_000;
  queue.lengths.set("g1", 3);
  queue.lengths.set("g2", 3);
  await vi.advanceTimersByTimeAsync(60 * 60_000);
  expect(queue.buried).toEqual([]);
  isOut = false;
  await vi.advanceTimersByTimeAsync(10_000);
  expect(Object.fromEntries(queue.consumedThrough)).toEqual({ g1: 3, g2: 3 });
  stopping.abort();
  await vi.advanceTimersByTimeAsync(2_000);
  await running;
  vi.useRealTimers();
  expect(queue.buried).toEqual([]);
});

test("streams: the stop ends a step that fails for ever", async () => {
  const { queue, stopping, running } = run(async () => {
    await pause(1);
    stopping.signal.throwIfAborted();
    throw new RpcError("UNAVAILABLE", "no quorum");
  });
  queue.lengths.set("g1", 1);
  await pause(20);
  stopping.abort();
  await running;
});

test("streams: an entry that cannot be read is buried, and the stream goes on", async () => {
  const entries: (number | undefined)[] = [];
  const { queue } = run(
    async (_stream, given) => {
      entries.push(...given.map(({ entry }) => entry));
      return given.at(-1)!.slot;
    },
    (payload) => {
      if (payload[0] === 2) throw new Error("no such kind");
      return payload[0]!;
    },
  );
  queue.lengths.set("g1", 3);
  await expect.poll(() => queue.consumedThrough.get("g1")).toBe(3);
  expect(entries).toEqual([1, undefined, 3]);
  const why = "it cannot be read: no such kind (INTERNAL)";
  const letter = { stream: "g1", slot: 2, part: 0, payload: Buffer.of(2), why, buriedAtMs: 7 };
  expect(queue.buried).toEqual([letter]);
});

test("streams: the entry at which steps always fail is found and buried; an outage is waited for", async () => {
  vi.useFakeTimers();
  let outages = 100;
  const { log, lines } = keptLog();
  const step: Step = async (_stream, given) => {
    if (given.some(({ entry }) => entry === 2)) throw new RpcError("TOO_LARGE", "no row so large");
    if (outages-- > 0) throw new RpcError("UNAVAILABLE", "no quorum");
    return given.at(-1)!.slot;
  };
  const { queue, stopping, running } = run(step, readByte, { log });
  queue.pollMs = 100;
  queue.lengths.set("g1", 3);
  while ((queue.consumedThrough.get("g1") ?? 0) < 3) await vi.advanceTimersByTimeAsync(1_000);
  stopping.abort();
  await vi.advanceTimersByTimeAsync(2_000);
  await running;
  vi.useRealTimers();
  expect(queue.buried).toMatchObject([{ slot: 2, why: "no row so large (TOO_LARGE)" }]);
  expect(outages).toBeLessThan(0);
  const said = new Set(lines.map(({ msg }) => msg));
  expect(said).toEqual(
    new Set([
      "a step failed; trying again",
      "an entry is given up; it lies among the dead letters",
    ]),
  );
  expect(new Set(lines.map(({ trace }) => trace))).toEqual(new Set([traceIdOf(TRACE)]));
});
