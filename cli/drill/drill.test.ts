/** A drill on a real control table that falls silent while the block stands; the processes watched are made up. */
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  makeMonitor,
  makeStatusReply,
} from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { ControlTable } from "../../services/control/client.ts";
import { startCluster, type TestCluster } from "../../services/kvsvr/testing/cluster.ts";
import { Client } from "../../services/svrkit/client.ts";
import { rest } from "../../services/svrkit/rest.ts";
import type { Reach, ReachedPod } from "../reach.ts";
import { type DrillSettings, runDrill } from "./drill.ts";
import { endBlock, keepBlock, setBlock, TERM_MS } from "./own-block.ts";
import { judge } from "./plan/verdict.ts";

const CAMPUSES = ["a", "b", "c"];

let cluster: TestCluster;
let client: Client;
let startMs: number;
/** What the made-up replicas say of themselves. */
let unready: string;
/** By how much the clock of campus c's is ahead. */
let aheadMs: number;
beforeEach(async () => {
  cluster = await startCluster();
  await cluster.allServe();
  client = new Client({ process: "test", campus: "" });
  startMs = performance.now();
  unready = "";
  aheadMs = 0;
});
afterEach(async () => {
  client.stop();
  await cluster.close();
});

function statusOf(name: string) {
  const monitors = [makeMonitor({ name: "kvsvr.behind", value: 0 })];
  const uptimeMs = Math.round(performance.now() - startMs) + 1_000;
  const nowMs = Date.now() + (name.startsWith("c/") ? aheadMs : 0);
  return makeStatusReply({ process: name, uptimeMs, monitors, unready, nowMs });
}

function reach(): Reach {
  const processes = CAMPUSES.map((campus) => {
    return { name: `${campus}/kvsvr`, campus, services: ["kvsvr"] };
  });
  const pods = processes.map((process): ReachedPod => {
    return { ...process, ask: async () => statusOf(process.name), stop: () => {} };
  });
  const addressesIn = (campus?: string) =>
    cluster.addresses.filter((one) => campus === undefined || one.campus === campus);
  return {
    ...{ dc: 1, campuses: CAMPUSES, kvGroups: [1], processes },
    pods: async () => pods,
    callee: (service, campus) => client.callee(service, addressesIn(campus), { caller: "test" }),
    statuses: async (names) => new Map([...names].map((name) => [name, statusOf(name)])),
    ask: async () => new Map(),
    stop: () => {},
  };
}

/** Begins one; `said` resolves when it has told a line that begins so. */
function begin(signal: AbortSignal, changes: Partial<DrillSettings>) {
  const lines: string[] = [];
  const said = (start: string) =>
    expect.poll(() => lines.some((line) => line.startsWith(start)), LONG).toBe(true);
  const done = runDrill(reach(), {
    ...{ target: { campus: "b", service: "" }, forMs: 60_000, beforeMs: 700, afterMs: 100 },
    ...{ busyPercentMax: 1_000, who: "ann", why: "a test", signal },
    progress: (line) => lines.push(line),
    ...changes,
  });
  return { done, said };
}

const LONG = { timeout: 25_000 };

const table = () => new ControlTable(client.callee("kvsvr", cluster.addresses, { caller: "test" }));
const blocks = async () => (await table().blocks()).map(({ what }) => what);

test("drill: its block is ended though the control table is away when it has to stop", async () => {
  const { done, said } = begin(new AbortController().signal, {});
  await said("blocked");
  for (const number of [0, 1, 2]) await cluster.stop(number);
  unready = "it is cut off";
  await said("the block cannot be ended now");
  for (const number of [0, 1, 2]) await cluster.start(number);
  const evidence = await done;
  await expect.poll(blocks, LONG).toEqual([]);
  expect(evidence.unblockFailure).toBeUndefined();
  expect(judge(evidence)).toMatchObject({ verdict: "Failed" });
  expect(evidence.stop?.kind).toBe("quorum");
}, 60_000);

test("drill: an interrupt ends the look at what comes back, too", async () => {
  const interrupt = new AbortController();
  const { done, said } = begin(interrupt.signal, { forMs: 300, afterMs: 3_600_000 });
  await said("unblocked");
  interrupt.abort();
  expect((await done).endedAtMs).toBeLessThan(60_000);
  expect(await blocks()).toEqual([]);
});

test("drill: while a process's clock is wrong it is refused, and nothing is blocked", async () => {
  aheadMs = 2_500;
  const { done } = begin(new AbortController().signal, {});
  const evidence = await done;
  expect(judge(evidence).verdict).toBe("Refused");
  const found = evidence.checks.find(({ name }) => name === "the clocks agree")?.found;
  expect(found).toMatch(/^the clock of c\/kvsvr is at least 2\.[45] s ahead of [ab]\/kvsvr's/);
  expect(await table().audit(10)).toEqual([]);
}, 60_000);

test("drill: its block is for a short term, put off while the drill watches", async () => {
  const interrupt = new AbortController();
  const { done, said } = begin(interrupt.signal, {});
  await said("blocked");
  const [first] = await table().blocks();
  expect(first!.remainingMs).toBeLessThanOrEqual(TERM_MS);
  const end = async () => (await table().blocks())[0]?.untilMs;
  await expect.poll(end, LONG).toBeGreaterThan(first!.untilMs);
  interrupt.abort();
  await done;
  expect((await table().audit(10)).map(({ did }) => did)).toEqual(["block", "unblock"]);
}, 60_000);

test("drill: a block that is another's by then is theirs to end", async () => {
  const block = { target: { campus: "b", service: "" }, who: "ann", why: "a test", termMs: 60_000 };
  const set = await setBlock(table(), block);
  const theirs = { forMs: 600_000, why: "an incident", who: "bob", forced: false };
  await table().block(block.target, theirs);
  expect(await keepBlock(table(), block, set)).toBe(false);
  expect(await endBlock(table(), block, { set, waits: () => {} })).toBeUndefined();
  expect(await table().blocks()).toMatchObject([{ what: "b", who: "bob" }]);
});

test("drill: a block that nobody keeps any more is over when its term is", async () => {
  const block = { target: { campus: "b", service: "" }, who: "ann", why: "a test", termMs: 2_000 };
  const set = await setBlock(table(), block);
  for (const endMs = performance.now() + 5_000; performance.now() < endMs; ) {
    expect(await keepBlock(table(), block, set)).toBe(true);
    await rest(200);
  }
  const leftMs = set.endsAtMs - performance.now();
  await expect.poll(blocks, LONG).toEqual([]);
  expect(set.endsAtMs - performance.now()).toBeGreaterThan(-1_500);
  expect(leftMs).toBeLessThanOrEqual(block.termMs);
  expect(await keepBlock(table(), block, set)).toBe(false);
});
