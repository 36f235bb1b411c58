/** S9: slots move between groups while they serve; in one process, on real replicas. */
import { afterEach, expect, test } from "vitest";
import { MovePhase } from "../../../protos/gen/tricampus/control/v1/slots_codec.ts";
import { Keyspace, Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { checkHistory } from "../../../sim/checkers/all.ts";
import { isOperation, type Line } from "../../../sim/history.ts";
import { type Holders, statesOf } from "../../../sim/replica-states.ts";
import { type Actor, sleep } from "../../../sim/workload/clients.ts";
import { actOnKey } from "../../../sim/workload/keys.ts";
import { actOnTable } from "../../../sim/workload/tables.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { Random } from "../../svrkit/seeded-random.ts";
import type { KvClient } from "../client.ts";
import type { TestCluster } from "../testing/cluster.ts";
import { startGroups, type TestGroups } from "../testing/groups.ts";

let cluster: TestGroups;

afterEach(() => cluster?.close());

const keyOf = (i: number) => ({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${i}`) });
const put = (i: number, value: string) => ({
  key: keyOf(i),
  write: { case: "put" as const, value: Buffer.from(value) },
  expectedVersion: undefined,
});
const ALL = [{ keyspace: Keyspace.ACCOUNT, first: 0, last: 4095, group: 0 }];
const ACT = { who: "ann", why: "a test" };

/** What clients did, as the simulation's checkers read it. */
function startActors(kv: KvClient, lines: Line[]) {
  const clock = {
    get nowMs() {
      return performance.now();
    },
  };
  const keys = Array.from({ length: 6 }, (_, i) => `key-${i}`);
  const tables = ["table-0", "table-1"];
  let isOver = false;
  const act = async (index: number) => {
    const random = new Random(index, "moves");
    const record = (line: Line) => lines.push(line);
    const memory = {
      begun: 0,
      newest: new Map(),
      marks: new Map(),
      underWay: new Set<() => void>(),
    };
    const large = { share: 0, bytesMax: 0 };
    const actor: Actor = { index, kv, clock, random, record, large, recentShare: 0.3, ...memory };
    while (!isOver) {
      await sleep(random.between(0, 5));
      if (random.chance(0.5)) await actOnTable(actor, tables);
      else await actOnKey(actor, keys);
    }
  };
  const done = Promise.all(Array.from({ length: 6 }, (_, index) => act(index)));
  return {
    names: [...keys, ...tables],
    async stop() {
      isOver = true;
      await done;
    },
  };
}

function check(lines: readonly Line[], group: TestCluster, names: readonly string[]): string[] {
  const seen: Holders = {
    replicas: [0, 1, 2],
    votes: () => true,
    replica: (number) => group.replica(number).replica,
  };
  const violations = checkHistory([...lines, ...statesOf(seen, names)]);
  return violations.map(({ checker, key, message }) => `${checker} ${key}: ${message}`);
}

/** Replicas that were away have caught up a moment later; what is lost or doubled stays so. */
async function untilWell(found: () => string[]): Promise<void> {
  await expect.poll(found, { timeout: 30_000, interval: 250 }).toEqual([]);
}

test("slots: clients write and read all the time, and nothing is lost, doubled or out of order", async () => {
  cluster = await startGroups(2);
  const { kv, slots, groups } = cluster;
  const lines: Line[] = [];
  const actors = startActors(kv, lines);
  await sleep(200);
  for (const [from, to] of [
    [1, 2],
    [2, 1],
    [1, 2],
  ] as const) {
    await slots.move([{ ranges: ALL, from, to }], "move", ACT);
    await cluster.moved();
    await sleep(200);
  }
  await actors.stop();
  await untilWell(() => check(lines, groups[1]!, actors.names));
  const operations = lines.filter(isOperation);
  expect(operations.filter(({ outcome }) => outcome !== "ok")).toEqual([]);
  const worstMs = Math.max(...operations.map(({ start, end }) => end - start));
  // Alone on its machine it is a fifth of a second; six replicas share this process with their clients.
  expect(worstMs).toBeLessThan(2_000);
  const left = groups[0]!.kv.get({ key: keyOf(1), level: Level.STRONG });
  await expect(left).rejects.toSatisfy((e) => e instanceof RpcError && e.code === "MOVED");
  expect(groups[0]!.replica(0).replica!.state.entry(keyOf(1)).register.known.version).toBe(0);
}, 30_000);

test("slots: replicas of both groups are stopped in every phase of a move, and come back", async () => {
  cluster = await startGroups(2);
  const { kv, slots, groups } = cluster;
  const lines: Line[] = [];
  const actors = startActors(kv, lines);
  const { COPY, SEAL, SWAPPED, CLEAN } = MovePhase;
  for (const [from, to, ...phases] of [
    [1, 2, COPY, SWAPPED],
    [2, 1, SEAL, CLEAN],
  ] as const) {
    await slots.move([{ ranges: ALL, from, to }], "move", ACT);
    for (const [turn, phase] of phases.entries()) {
      await untilPhase(phase);
      const victims = [
        { group: groups[from - 1]!, number: turn },
        { group: groups[to - 1]!, number: turn + 1 },
      ];
      await Promise.all(victims.map(({ group, number }) => group.stop(number)));
      await Promise.all(victims.map(({ group, number }) => group.start(number)));
    }
    await cluster.moved();
  }
  await actors.stop();
  await Promise.all(groups.map((one) => one.allServe()));
  await untilWell(() => check(lines, groups[0]!, actors.names));
}, 60_000);

/** Waits until the move under way has come so far, or is over. */
async function untilPhase(phase: MovePhase): Promise<void> {
  for (;;) {
    const { move } = await cluster.slots.read();
    if (move === undefined || move.phase >= phase) return;
    await sleep(2);
  }
}

test("slots: a cancelled move leaves everything where it was, and nothing at the target", async () => {
  cluster = await startGroups(2);
  const { kv, slots, groups } = cluster;
  // As long as one target is away nothing is sealed.
  await groups[1]!.stop(2);
  for (let i = 0; i < 20; i++) await kv.write(put(i, `one ${i}`));
  await slots.move([{ ranges: ALL, from: 1, to: 2 }], "move", ACT);
  const copied = () => groups[1]!.replica(0).replica!.state.entry(keyOf(0)).register.heldVersion;
  await expect.poll(copied, { timeout: 5_000 }).toBe(1);
  await slots.cancel(ACT);
  await groups[1]!.start(2);
  await cluster.moved();
  expect(copied()).toBe(0);
  expect((await kv.get({ key: keyOf(0), level: Level.STRONG })).version).toBe(1);
});
