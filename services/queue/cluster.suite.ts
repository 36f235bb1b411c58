/** The queue's promises on three campuses, whatever keeps its logs: M3, and promise 1 of the design. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { Queue } from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import { newTrace, traceIdOf } from "../svrkit/tracing/context.ts";
import { findSpans } from "../svrkit/tracing/span.ts";
import { TRIM_DELAY_MS } from "./limits.ts";
import { campusOrder, firstGroup } from "./protocol/placement.ts";
import { CAMPUSES, QueueCluster, type QueueClusterOptions } from "./testing/cluster.ts";
import { Ledger, Workers } from "./testing/consumer.ts";

const bytes = (text: string) => Buffer.from(text);

async function until(holds: () => boolean, withinMs: number): Promise<number> {
  const start = performance.now();
  while (!holds()) {
    if (performance.now() - start > withinMs) throw new Error(`not within ${withinMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return performance.now() - start;
}

const numbers = (n: number) => Array.from({ length: n }, (_, i) => `${i + 1}`);

export function testQueue(name: string, options: () => QueueClusterOptions): void {
  let cluster: QueueCluster;
  let ledger: Ledger;
  let workers: Workers | undefined;

  beforeEach(async () => {
    cluster = await QueueCluster.start(options());
    ledger = new Ledger();
    workers = undefined;
  });

  afterEach(async () => {
    await workers?.stop();
    await cluster.stop();
  });

  function append(stream: string, id: string) {
    const request = { stream, id: bytes(id), payload: bytes(`payload of ${id}`) };
    return cluster.clientOutside().append(request, { timeoutMs: 8_000 });
  }

  /** As if the campus had been chosen to write the stream, whatever its usual order. */
  function appendIn(campus: string, stream: string, id: string) {
    const request = { stream, id: bytes(id), payload: bytes(id), forwarded: true };
    const index = (CAMPUSES as readonly string[]).indexOf(campus);
    return cluster.calleeIn(campus).callOne(index, Queue.append, request, { timeoutMs: 8_000 });
  }

  async function stopLogs(group: number, names: readonly string[]): Promise<void> {
    for (const name of names) await cluster.stopLog(name, group);
  }

  /** kill -9 of everything; what comes back lacks the logs of one group. */
  async function killAll({ without }: { without: number }): Promise<void> {
    for (const name of CAMPUSES) {
      await cluster.stopCampus(name);
      await cluster.startCampus(name);
      await cluster.stopLog(name, without);
    }
  }

  test(`${name}: entries get slots without gaps and are delivered in their order`, async () => {
    workers = new Workers(cluster, ledger);
    const slots = await Promise.all(numbers(50).map((id) => append("s", id)));
    expect(slots.map(({ slot }) => slot).sort((a, b) => a - b)).toEqual(numbers(50).map(Number));
    await until(() => ledger.count === 50, 1_000);
    expect(ledger.wrong).toEqual([]);
  });

  test(`${name}: an id that is still in the stream is not appended again`, async () => {
    const [first, again] = await Promise.all([append("s", "x"), append("s", "x")]);
    expect(again.slot).toBe(first.slot);
    expect((await append("s", "x")).slot).toBe(first.slot);
    expect((await append("s", "y")).slot).toBe(first.slot + 1);
  });

  test(`${name}: one log of three may be missing, and miss entries`, async () => {
    workers = new Workers(cluster, ledger);
    const group = firstGroup("s");
    await append("s", "1");
    await cluster.stopLog("b", group);
    await append("s", "2");
    await cluster.startLog("b", group);
    await cluster.stopLog("c", group);
    expect((await append("s", "3")).slot).toBe(3);
    await until(() => ledger.count === 3, 1_000);
  });

  test(`${name}: everything unconsumed is delivered after all processes were killed at once`, async () => {
    await Promise.all(numbers(20).map((id) => append("s", id)));
    for (const name of CAMPUSES) await cluster.stopCampus(name);
    for (const name of CAMPUSES) await cluster.startCampus(name);
    workers = new Workers(cluster, ledger);
    await until(() => ledger.count === 20, 3_000);
    expect((await append("s", "21")).slot).toBe(21);
  });

  test(`${name}: a dead campus's streams are adopted without a new append`, async () => {
    for (const id of numbers(10)) await append(`s${id}`, id);
    await cluster.stopCampus("a");
    workers = new Workers(cluster, ledger);
    expect(await until(() => ledger.count === 10, 3_000)).toBeLessThan(2_500);
    expect(ledger.wrong).toEqual([]);
  });

  test(`${name}: Q7 a lost group is left with everything, and not needed any more`, async () => {
    const group = firstGroup("s");
    for (const id of numbers(5)) await append("s", id);
    await stopLogs(group, ["a", "b"]);
    expect((await append("s", "6")).slot).toBe(6);
    await stopLogs(group, ["c"]);
    expect((await append("s", "7")).slot).toBe(7);
    await killAll({ without: group });
    workers = new Workers(cluster, ledger);
    await until(() => ledger.count === 7, 3_000);
    expect(ledger.read.get("s")).toEqual(numbers(7));
    expect((await append("s", "8")).slot).toBe(8);
  });

  test(`${name}: Q6 a writer that was taken over cannot move the stream away from its new one`, async () => {
    const group = firstGroup("s");
    await appendIn("a", "s", "1");
    // The fence of the second writer misses one log: the first writer cannot learn of it there.
    await stopLogs(group, ["c"]);
    await appendIn("b", "s", "2");
    await cluster.startLog("c", group);
    await stopLogs(group, ["a", "b"]);
    await appendIn("a", "s", "3");
    for (const name of ["a", "b"]) await cluster.startLog(name, group);
    workers = new Workers(cluster, ledger);
    await until(() => ledger.count === 3, 3_000);
    expect(ledger.read.get("s")).toEqual(numbers(3));
  });

  test(`${name}: Q9 an old writer takes nothing that was sent after the stream went on elsewhere`, async () => {
    const group = firstGroup("s");
    await appendIn("a", "s", "1");
    await stopLogs(group, CAMPUSES);
    expect((await appendIn("b", "s", "2")).slot).toBe(0);
    for (const name of CAMPUSES) await cluster.startLog(name, group);
    await appendIn("a", "s", "3");
    workers = new Workers(cluster, ledger);
    await until(() => ledger.count === 3, 3_000);
    expect(ledger.read.get("s")).toEqual(numbers(3));
  });

  test(`${name}: what the old group kept is cleared away when it is back`, async () => {
    const group = firstGroup("s");
    for (const id of numbers(3)) await append("s", id);
    workers = new Workers(cluster, ledger);
    await until(() => ledger.count === 3, 1_000);
    await stopLogs(group, ["a", "b"]);
    await append("s", "4");
    for (const name of ["a", "b"]) await cluster.startLog(name, group);
    const held = () => CAMPUSES.flatMap((name) => cluster.untrimmed(name));
    await until(() => ledger.count === 4 && held().length === 0, 8_000);
  });

  test(`${name}: what was consumed lately is known to the next writer, whenever trims are sent`, async () => {
    workers = new Workers(cluster, ledger);
    await append("s", "1");
    await until(() => ledger.count === 1, 1_000);
    await new Promise((resolve) => setTimeout(resolve, TRIM_DELAY_MS - 200));
    const { slot } = await append("s", "2");
    await until(() => ledger.count === 2, 1_000);
    await new Promise((resolve) => setTimeout(resolve, 400));
    await cluster.stopCampus(CAMPUSES[campusOrder("s")[0]!]!);
    expect(await append("s", "2")).toMatchObject({ slot });
    expect(ledger.read.get("s")).toEqual(numbers(2));
  });

  test(`${name}: a bad request is refused, and says why`, async () => {
    const good = { stream: "s", id: bytes("id"), payload: bytes("payload") };
    for (const [part, code] of [
      [{ stream: "" }, "INVALID_ARGUMENT"],
      [{ stream: "a#b" }, "INVALID_ARGUMENT"],
      [{ stream: "s".repeat(201) }, "INVALID_ARGUMENT"],
      [{ id: bytes("") }, "INVALID_ARGUMENT"],
      [{ id: Buffer.alloc(129) }, "INVALID_ARGUMENT"],
      [{ payload: Buffer.alloc(512 * 1024 + 1) }, "TOO_LARGE"],
    ] as const) {
      const appending = cluster.clientOutside().append({ ...good, ...part });
      await expect(appending).rejects.toMatchObject({ code });
    }
  });

  test(`${name}: Q8 a writer that does not know the lost group's end goes on, and that end comes first`, async () => {
    const group = firstGroup("s");
    for (const id of numbers(5)) await append("s", id);
    await stopLogs(group, ["a", "b"]);
    await killAll({ without: group });
    expect((await append("s", "6")).slot).toBe(0);
    expect((await append("s", "5")).slot).toBe(0);
    workers = new Workers(cluster, ledger);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(ledger.count).toBe(0);
    await cluster.startLog("b", group);
    await cluster.startLog("c", group);
    await until(() => ledger.count === 6, 3_000);
    expect((await append("s", "7")).slot).toBe(8);
    await until(() => ledger.count === 7, 1_000);
    expect(ledger.read.get("s")).toEqual(numbers(7));
    expect(ledger.wrong).toEqual([]);
  });

  test(`${name}: a traced entry shows the logs that hold it`, async () => {
    await append("s", "1");
    const trace = newTrace(true);
    const request = { stream: "s", id: bytes("2"), payload: bytes("payload of 2") };
    await cluster.clientOutside().append(request, { timeoutMs: 8_000, trace });
    const spans = findSpans({ traceIds: [traceIdOf(trace)], messageIds: [] });
    const names = spans.map((span) => span.name);
    expect(names).toContain("Queue/Append");
    expect(names.filter((called) => called === "Log/Append").length).toBeGreaterThanOrEqual(2);
  });
}
