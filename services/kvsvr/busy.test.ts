/** Keys and tables that many change at once. */
import { afterEach, expect, test } from "vitest";
import {
  type ChangeReply,
  type ChangeRequest,
  Keyspace,
  Kv,
  Level,
  type TableChange,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { NEVER_SHED } from "../svrkit/admission/priority.ts";
import { Client } from "../svrkit/client.ts";
import { newOperationId } from "../svrkit/operation-id.ts";
import { InFlight } from "./in-flight.ts";
import { VALUE_BYTES_MAX } from "./limits.ts";
import { startCluster, type TestCluster } from "./testing/cluster.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

const key = { keyspace: Keyspace.ACCOUNT, key: Buffer.from("busy") };
const insert = (row: string, value: string): TableChange => ({
  guards: [],
  operations: [
    {
      operation: {
        case: "insertIfAbsent",
        value: { row: Buffer.from(row), value: Buffer.from(value) },
      },
    },
  ],
});

const put = (value: string) => ({
  key,
  write: { case: "put" as const, value: Buffer.from(value) },
  expectedVersion: undefined,
});

/** Of clients half of which have clocks that are a second late; written so, no machine is too slow. */
const idsOf = (count: number) => {
  const nowMs = Date.now();
  return Array.from({ length: count }, (_, i) => newOperationId(nowMs - (i % 2) * 1_000));
};

/** As many side by side as a slow machine takes in time. */
async function inParts<T>(count: number, part: number, run: (index: number) => Promise<T>) {
  const replies: T[] = [];
  for (let at = 0; at < count; at += part) {
    const running = Array.from({ length: part }, (_, i) => run(at + i));
    replies.push(...(await Promise.all(running)));
  }
  return replies;
}

test("S4: of 600 changes of one table none is unknown, whatever its client's clock says", async () => {
  cluster = await startCluster();
  await cluster.allServe();
  const { kv } = cluster;
  const ids = idsOf(600);
  const replies = await inParts(ids.length, 150, (i) =>
    kv.change({ key, change: insert(`r${i}`, "v") }, { operationId: ids[i]!, timeoutMs: 10_000 }),
  );
  expect(replies.every(({ applied }) => applied)).toBe(true);
  expect(await kv.change({ key, change: insert("r0", "v") }, { operationId: ids[0]! })).toEqual(
    replies[0],
  );
});

test("S4: of 300 writes of one key none is unknown, whatever its client's clock says", async () => {
  cluster = await startCluster();
  await cluster.allServe();
  const { kv } = cluster;
  const ids = idsOf(300);
  const replies = await inParts(ids.length, 50, (i) =>
    kv.write(put("v"), { operationId: ids[i]!, timeoutMs: 10_000 }),
  );
  expect(replies.every(({ applied }) => applied)).toBe(true);
  expect(await kv.write(put("v"), { operationId: ids[0]! })).toEqual(replies[0]);
});

test("kv: gets of one turn are answered though their values fill more than a frame", async () => {
  cluster = await startCluster();
  await cluster.allServe();
  const { kv } = cluster;
  const value = Buffer.alloc(VALUE_BYTES_MAX, 7);
  const write = { case: "put" as const, value };
  await kv.write({ key, write, expectedVersion: undefined }, { timeoutMs: 10_000 });
  const asked = Array.from({ length: 20 }, () =>
    kv.get({ key, level: Level.STRONG }, { timeoutMs: 10_000 }),
  );
  const got = await Promise.all(asked);
  expect(got.every((reply) => reply.value.length === value.length)).toBe(true);
});

test("kv: writes that have no room in memory are refused, and there is room when others are done", async () => {
  cluster = await startCluster({ config: { inFlightBytes: 2 * VALUE_BYTES_MAX } });
  await cluster.allServe();
  const { kv } = cluster;
  const write = { case: "put" as const, value: Buffer.alloc(VALUE_BYTES_MAX - 4_096) };
  const request = { key, write, expectedVersion: undefined };
  const sheddable = { timeoutMs: 10_000, priority: 1 };
  const asked = Array.from({ length: 12 }, () => kv.write(request, sheddable));
  const told = await Promise.allSettled(asked);
  const refused = told.filter((outcome) => outcome.status === "rejected");
  expect(refused.length).toBeGreaterThan(0);
  expect(new Set(refused.map(({ reason }) => reason.code))).toEqual(new Set(["OVERLOADED"]));
  const { version } = await kv.write(request, { timeoutMs: 10_000 });
  expect(version).toBe(told.length - refused.length + 1);
});

test("kv: what is never shed has room where others have none, and hears no OVERLOADED", () => {
  const inFlight = new InFlight(10_000);
  const of = (priority: number) => ({ valueBytes: 4_000, priority });
  const done = inFlight.until(() => {}, of(1));
  inFlight.until(() => {}, of(1));
  const refused = (priority: number) => () => inFlight.until(() => {}, of(priority));
  expect(refused(1)).toThrow(expect.objectContaining({ code: "OVERLOADED" }));
  expect(refused(NEVER_SHED)).toThrow(expect.objectContaining({ code: "UNAVAILABLE" }));
  done({});
  inFlight.until(() => {}, of(NEVER_SHED));
  expect(refused(1)).toThrow(expect.objectContaining({ code: "OVERLOADED" }));
});

test("S6, S7: two replicas, one of which always decides: what is asked of the other is done, or sent on", async () => {
  cluster = await startCluster();
  await cluster.allServe();
  await cluster.stop(2);
  const client = new Client({ process: "test/client", campus: "" });
  const calleeAs = (caller: string) => client.callee("kvsvr", cluster!.addresses, { caller });
  const byClient = calleeAs("test");
  const byReplica = calleeAs("kvsvr");
  const call = () => ({ operationId: newOperationId(Date.now()), timeoutMs: 5_000 });
  const upsert = (row: string): ChangeRequest => {
    const value = { row: Buffer.from(row), value: Buffer.from(`${Math.random()}`) };
    return { key, change: { guards: [], operations: [{ operation: { case: "upsert", value } }] } };
  };
  let isOver = false;
  const lanes = Array.from({ length: 20 }, async (_, lane) => {
    while (!isOver) await byClient.callOne(0, Kv.change, upsert(`lane ${lane}`), call());
  });
  try {
    await expect.poll(() => cluster!.replica(0).replica!.state.logged).toBeGreaterThan(0);
    const read = { key, level: Level.STRONG, rows: [], marks: [] };
    for (let i = 0; i < 5; i++) {
      const { version } = await byClient.callOne(0, Kv.change, upsert(`row ${i}`), call());
      const got = await byClient.callOne(1, Kv.getRows, read, call());
      expect(got.version).toBeGreaterThanOrEqual(version);
      // There is nothing to write, which must be true of a version that is new enough.
      const value = { key, change: insert(`row ${i}`, "another") };
      const item = { ...call(), priority: 0, item: { case: "change", value } } as const;
      const batch = { items: [item], asksForRest: false };
      const { outcomes } = await byClient.callOne(1, Kv.batch, batch, call());
      const told = outcomes[0]!.outcome as { case: "change"; value: ChangeReply };
      expect(told.value.version).toBeGreaterThanOrEqual(version);
      await byClient.callOne(1, Kv.change, upsert(`row ${i}`), call());
      // What another replica sent here is not sent on: it is given back, unless it was lucky.
      const outcome = byReplica.callOne(1, Kv.change, upsert(`row ${i}`), call());
      await outcome.catch((error) => expect(error).toMatchObject({ code: "UNAVAILABLE" }));
    }
  } finally {
    isOver = true;
    await Promise.allSettled(lanes);
    client.stop();
  }
}, 30_000);
