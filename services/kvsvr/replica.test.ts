import { afterEach, expect, test } from "vitest";
import {
  type Guard,
  Keyspace,
  Kv,
  Level,
  type TableChange,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { Client } from "../svrkit/client.ts";
import { FRAME_BYTES_MAX } from "../svrkit/limits.ts";
import { readMonitors } from "../svrkit/monitors/monitor.ts";
import { newOperationId } from "../svrkit/operation-id.ts";
import { rest } from "../svrkit/rest.ts";
import { newTrace, traceIdOf } from "../svrkit/tracing/context.ts";
import { type EndedSpan, findSpans } from "../svrkit/tracing/span.ts";
import { PAGE_ROWS_MAX, RECENT_MS, ROW_KEY_BYTES_MAX, VALUE_BYTES_MAX } from "./limits.ts";
import { TRACED_BURST, TRACED_PER_SECOND } from "./peers.ts";
import { traceOf } from "./proposals.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

const key = (name: string) => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(name) });
const bytes = (text: string) => Buffer.from(text);
const text = (value: Uint8Array) => Buffer.from(value).toString();
const put = (name: string, value: string, expectedVersion?: number) => ({
  key: key(name),
  write: { case: "put" as const, value: bytes(value) },
  expectedVersion,
});
const get = (name: string) => ({ key: key(name), level: Level.STRONG });
const insert = (row: string, value: string): TableChange => ({
  guards: [],
  operations: [
    { operation: { case: "insertIfAbsent", value: { row: bytes(row), value: bytes(value) } } },
  ],
});

test("kv: put, get, compare-and-set, delete", async () => {
  cluster = await startCluster();
  const { kv } = cluster;
  expect(await kv.get(get("x"))).toMatchObject({ found: false, version: 0 });
  expect(await kv.write(put("x", "one"))).toEqual({ applied: true, version: 1 });
  expect(await kv.write(put("x", "two"))).toEqual({ applied: true, version: 2 });
  const got = await kv.get(get("x"));
  expect([text(got.value), got.version]).toEqual(["two", 2]);
  expect(await kv.write(put("x", "three", 1))).toEqual({ applied: false, version: 2 });
  expect(await kv.write(put("x", "three", 2))).toEqual({ applied: true, version: 3 });
  const erase = {
    key: key("x"),
    write: { case: "delete" as const, value: true },
    expectedVersion: undefined,
  };
  expect(await kv.write(erase)).toEqual({ applied: true, version: 4 });
  expect(await kv.get(get("x"))).toMatchObject({ found: false, version: 4 });
});

test("S4: a retry under the same operation id gets the first outcome and runs once", async () => {
  cluster = await startCluster();
  const operationId = newOperationId();
  expect(await cluster.kv.write(put("x", "one"), { operationId })).toEqual({
    applied: true,
    version: 1,
  });
  expect(await cluster.kv.write(put("x", "one"), { operationId })).toEqual({
    applied: true,
    version: 1,
  });
  expect(await cluster.kv.get(get("x"))).toMatchObject({ version: 1 });
});

test("S6: recent reads of a key at one replica ask another one once in half a second, and are as new", async () => {
  cluster = await startCluster();
  await cluster.allServe();
  const { kv, addresses } = cluster;
  await kv.write(put("x", "one"));
  const client = new Client({ process: "test", campus: "" });
  const replica = client.callee("kvsvr", addresses, { caller: "test" });
  const recent = () => replica.callOne(0, Kv.get, { key: key("x"), level: Level.RECENT });
  const queries = () => readMonitors().find(({ name }) => name === "kvsvr.version_queries")!.value;
  try {
    expect(await recent()).toMatchObject({ version: 1 });
    const before = queries();
    const beganMs = monotonicMs();
    for (let i = 0; i < 20; i++) await recent();
    const halfSeconds = Math.floor((monotonicMs() - beganMs) / RECENT_MS);
    expect(queries() - before).toBeLessThanOrEqual(1 + halfSeconds);
    await kv.write(put("x", "two"));
    await rest(RECENT_MS + 50);
    expect(await recent()).toMatchObject({ version: 2 });
    expect(queries() - before).toBeGreaterThanOrEqual(1);
  } finally {
    client.stop();
  }
});

test("S8: tables: insert-if-absent, marks, appends and changes since a version", async () => {
  cluster = await startCluster();
  const { kv } = cluster;
  const first = await kv.change({ key: key("t"), change: insert("r1", "one") });
  expect(first).toMatchObject({ applied: true, version: 1, alone: true });
  const again = await kv.change({ key: key("t"), change: insert("r1", "two") });
  expect(again).toMatchObject({ applied: true, version: 1, alone: false });
  expect(text(again.results[0]!.value)).toBe("one");
  const mark = (from: number, to: number): TableChange => ({
    guards: [{ guard: { case: "mark", value: { name: bytes("m"), from, to, allowSkip: false } } }],
    operations: [
      {
        operation: {
          case: "append",
          value: { id: bytes(`id${to}`), prefix: bytes("q/"), value: bytes("v") },
        },
      },
    ],
  });
  const append = await kv.change({ key: key("t"), change: mark(0, 3) });
  expect(append.applied).toBe(true);
  // 2, or 3 when the change before was passed on to the owner: then its outcome has a version too.
  expect(append.version).toBeGreaterThan(1);
  expect(append.results[0]).toMatchObject({ existed: false, number: 1 });
  const late = await kv.change({ key: key("t"), change: mark(0, 3) });
  expect(late).toMatchObject({ applied: false, failedGuard: { index: 0, actual: 3 } });
  const ids = [bytes("id3"), bytes("id4")];
  const { numbers } = await kv.numbers({ key: key("t"), ids, level: Level.STRONG });
  expect(numbers).toEqual([1, 0]);
  const changes = await kv.scanChanges({
    key: key("t"),
    afterVersion: 1,
    limit: 10,
    level: Level.STRONG,
  });
  expect(changes.rows.map((row) => text(row.row).slice(0, 2))).toEqual(["q/"]);
  const rows = await kv.scanRows({
    key: key("t"),
    first: bytes(""),
    end: bytes(""),
    limit: 10,
    level: Level.STRONG,
    reverse: false,
  });
  expect(rows.rows.map((row) => text(row.row).slice(0, 2))).toEqual(["q/", "r1"]);
});

test("S8: a table's marks are listed by their names, page by page", async () => {
  cluster = await startCluster();
  const { kv } = cluster;
  const raise = (name: string, to: number): Guard => ({
    guard: { case: "mark", value: { name: bytes(name), from: 0, to, allowSkip: false } },
  });
  const guards = ["b", "a", "ab", "c"].map((name, i) => raise(name, i + 1));
  await kv.change({ key: key("t"), change: { guards, operations: insert("r", "row").operations } });
  const names: string[] = [];
  for (let after = bytes(""); ; ) {
    const page = await kv.scanMarks({ key: key("t"), after, limit: 3, level: Level.STRONG });
    names.push(...page.marks.map(({ name, standsAt }) => `${text(name)} ${standsAt}`));
    if (!page.more) break;
    after = bytes(text(page.marks.at(-1)!.name));
  }
  expect(names).toEqual(["a 2", "ab 3", "b 1", "c 4"]);
});

test("S8: concurrent changes of one table are packed, each applied once", async () => {
  cluster = await startCluster();
  const { kv } = cluster;
  const replies = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      kv.change({ key: key("t"), change: insert(`r${i}`, `${i}`) }),
    ),
  );
  expect(replies.every((reply) => reply.applied)).toBe(true);
  // How many fit into one version depends on how fast the machine is; one each would be 200.
  expect(Math.max(...replies.map((reply) => reply.version))).toBeLessThan(200);
  const rows = await kv.scanRows({
    key: key("t"),
    first: bytes(""),
    end: bytes(""),
    limit: 1000,
    level: Level.STRONG,
    reverse: true,
  });
  expect(rows.rows).toHaveLength(200);
});

test("promise 3: one replica gone: reads and writes go on, and it catches up when it is back", async () => {
  cluster = await startCluster();
  const { kv } = cluster;
  for (let i = 0; i < 30; i++) await kv.write(put(`k${i}`, "before"));
  await cluster.stop(1);
  for (let i = 0; i < 30; i++)
    expect(await kv.write(put(`k${i}`, "after"))).toMatchObject({ version: 2 });
  for (let i = 0; i < 30; i++) expect(text((await kv.get(get(`k${i}`))).value)).toBe("after");
  await cluster.start(1);
  await cluster.stop(0);
  for (let i = 0; i < 30; i++) expect(text((await kv.get(get(`k${i}`))).value)).toBe("after");
  for (let i = 0; i < 30; i++)
    expect(await kv.write(put(`k${i}`, "third"))).toMatchObject({ version: 3 });
});

test("kv: a traced write shows who voted on it, a traced read who confirmed it, each below the call", async () => {
  cluster = await startCluster();
  const { kv } = cluster;
  await kv.write(put("x", "one"));
  const spansOf = async (call: (trace: Uint8Array) => Promise<unknown>) => {
    const trace = newTrace(true);
    await call(trace);
    return findSpans({ traceIds: [traceIdOf(trace)], messageIds: [] });
  };
  // A write may be passed on, and a slow one made twice: each of them asks for its own votes.
  const expectBelow = (spans: readonly EndedSpan[], below: string, above: string) => {
    const spanIds = spans.filter(({ name }) => name === above).map(({ spanId }) => spanId);
    const parents = spans.filter(({ name }) => name === below).map(({ parentId }) => parentId);
    expect(parents.length).toBeGreaterThanOrEqual(1);
    expect(spanIds).toEqual(expect.arrayContaining(parents));
  };
  const written = await spansOf((trace) => kv.write(put("x", "two"), { trace }));
  expectBelow(written, "Replica/Vote", "Kv/Write");
  expect(text((await kv.get(get("x"))).value)).toBe("two");
  const read = await spansOf((trace) => kv.get(get("x"), { trace }));
  expectBelow(read, "Replica/QueryVersions", "Kv/Get");
});

test("kv: a traced write shows the replica that learns of it later, too", async () => {
  cluster = await startCluster();
  const { kv } = cluster;
  // A slow write asks the third for its vote, which then has nothing to learn: not every one will be.
  for (let i = 0, learnt = 0; learnt === 0; i++) {
    expect(i).toBeLessThan(30);
    const trace = newTrace(true);
    await kv.write(put("x", `${i}`), { trace });
    await rest(100);
    const spans = findSpans({ traceIds: [traceIdOf(trace)], messageIds: [] });
    const voted = spans.filter(({ name }) => name === "Replica/Vote");
    const told = spans.filter(({ name }) => name === "Replica/Learn");
    const writes = spans.filter(({ name }) => name === "Kv/Write").map(({ spanId }) => spanId);
    learnt = told.length;
    for (const { parentId } of told) expect(writes).toContain(parentId);
    if (learnt > 0) expect(voted.length).toBeGreaterThan(0);
  }
});

test("kv: however many writes are traced, few of their votes are", async () => {
  cluster = await startCluster();
  const { kv } = cluster;
  const startedMs = performance.now();
  const traces = Array.from({ length: 300 }, () => newTrace(true));
  for (let at = 0; at < traces.length; at += 50)
    await Promise.all(
      traces.slice(at, at + 50).map((trace, i) => kv.write(put(`k${at + i}`, "v"), { trace })),
    );
  const seconds = (performance.now() - startedMs) / 1_000;
  const spans = findSpans({ traceIds: traces.map(traceIdOf), messageIds: [] });
  const votes = spans.filter(({ name }) => name === "Replica/Vote");
  expect(votes.length).toBeGreaterThan(0);
  const shownMax = 3 * (TRACED_BURST + TRACED_PER_SECOND * seconds);
  expect(votes.length).toBeLessThanOrEqual(shownMax);
  const learnt = spans.filter(({ name }) => name === "Replica/Learn");
  expect(learnt.length).toBeLessThanOrEqual(shownMax);
});

test("kv: the votes for many writes together are in the trace of the first, or in none", () => {
  const [untraced, traced] = [{ trace: newTrace(false) }, { trace: newTrace(true) }];
  expect(traceOf([traced, untraced])).toBe(traced.trace);
  expect(traceOf([untraced, traced])).toHaveLength(0);
});

test("kv: names longer than one can be, and more than a page has, are refused with the limit", async () => {
  cluster = await startCluster();
  const { kv } = cluster;
  const level = Level.STRONG;
  const table = { key: key("t"), level };
  const long = Buffer.alloc(ROW_KEY_BYTES_MAX + 2, 1);
  const many = Array.from({ length: PAGE_ROWS_MAX + 1 }, (_, i) => bytes(`${i}`));
  const scan = { ...table, limit: 1, reverse: false };
  const none = bytes("");
  const refused: [() => Promise<unknown>, string][] = [
    [() => kv.getRows({ ...table, rows: [long], marks: [] }), "514 bytes of one of the rows"],
    [() => kv.getRows({ ...table, rows: [], marks: [long] }), "514 bytes of one of the marks"],
    [() => kv.getRows({ ...table, rows: [], marks: many }), "1001 marks in one call"],
    [() => kv.numbers({ ...table, ids: [bytes("id"), long] }), "514 bytes of one of the ids"],
    [() => kv.scanMarks({ ...table, after: long, limit: 1 }), "bound of 514 bytes"],
    [() => kv.scanRows({ ...scan, first: long, end: none }), "bound of 514 bytes"],
    [() => kv.scanRows({ ...scan, first: none, end: long }), "bound of 514 bytes"],
  ];
  for (const [ask, why] of refused)
    await expect(ask()).rejects.toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining(why),
    });
  const longest = long.subarray(0, ROW_KEY_BYTES_MAX);
  expect(await kv.numbers({ ...table, ids: [longest] })).toMatchObject({ numbers: [0] });
  expect(await kv.scanMarks({ ...table, after: longest, limit: 1 })).toMatchObject({ marks: [] });
});

test("kv: rows are looked up as long as a frame has room for them, and gathered no further", async () => {
  cluster = await startCluster();
  const { kv } = cluster;
  const value = "v".repeat(VALUE_BYTES_MAX - 1);
  await kv.change({ key: key("t"), change: insert("r", value) });
  const ask = (times: number) => {
    const rows = Array<Buffer>(times).fill(bytes("r"));
    return kv.getRows({ key: key("t"), level: Level.STRONG, rows, marks: [] });
  };
  const room = FRAME_BYTES_MAX / VALUE_BYTES_MAX;
  expect((await ask(room - 1)).rows).toHaveLength(room - 1);
  await expect(ask(room + 1)).rejects.toMatchObject({
    code: "TOO_LARGE",
    message: expect.stringContaining("ask for fewer at once"),
  });
});
