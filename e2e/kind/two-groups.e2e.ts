/** A second KV group takes its share of the slots under load; without its KVGroup it is emptied, and goes then. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rest } from "../../services/svrkit/rest.ts";
import {
  ALL_WELL,
  CHART,
  condition,
  get,
  kubectl,
  list,
  measured,
  secondsOf,
  tricampus,
  tryKubectl,
  tryTricampus,
  until,
  wholePlatform,
  zonesOf,
} from "./testing/cluster.ts";
import { duringReplay } from "./testing/replay.ts";

/** As after the removal of one between: numbers may have gaps. */
const NUMBER = 3;
const GROUP = `main-${NUMBER}`;
const EXAMPLE = join(CHART, "../../crds/examples/second-group.yaml");
const HEARD_MS = 120_000;
/** Before that: when what a replay needs to connect is over. */
const REPLAY_BEGINS_MS = 20_000;
const SHARE = 2_048; // half of a keyspace, and the example takes a share of two

beforeAll(() => wholePlatform());
afterAll(async () => {
  await slotsOfFirst("Even");
  await tryKubectl(["delete", "kvgroup", GROUP, "--ignore-not-found"]);
});

async function add(): Promise<void> {
  const text = readFileSync(EXAMPLE, "utf8").replaceAll("main-2", GROUP);
  const input = text.replace("number: 2", `number: ${NUMBER}`);
  const { code, stderr } = await tryKubectl(["apply", "-f", "-"], { input });
  expect([code, stderr]).toEqual([0, ""]);
}

async function slotsOfFirst(slots: "Even" | "Manual"): Promise<void> {
  const patch = JSON.stringify({ spec: { slots } });
  await kubectl("patch", "kvgroup", "main-1", "--type=merge", "-p", patch);
}

/** Of the second group, by what `slots show` says. */
async function ranges(): Promise<{ keyspace: string; slots: number; keys: number }[]> {
  const { ranges } = JSON.parse(await tricampus("slots", "show", "--json")) as {
    ranges: { keyspace: string; first: number; last: number; group: number; keys: number }[];
  };
  const own = ranges.filter(({ group }) => group === NUMBER);
  return own.map(({ keyspace, first, last, keys }) => ({
    keyspace,
    slots: last - first + 1,
    keys,
  }));
}

async function own(kind: string): Promise<string[]> {
  const found = await list(kind, `tricampus.dev/workload=kvsvr-${NUMBER}`);
  return found.map(({ metadata }) => `${metadata.name} ${metadata.uid}`).toSorted();
}

/** What a block of campus b is told of the store's replicas; on a busy machine one may be late. */
async function ofReplicas(): Promise<object | undefined> {
  const { stdout } = await tryTricampus("campus", "block", "b", "--dry-run", "--json");
  const { checks } = JSON.parse(stdout) as { checks: { name: string }[] };
  return checks.find(({ name }) => name === "every replica of the store is caught up");
}

async function isSettled(): Promise<boolean> {
  const progressing = await condition("kvgroup", "main-1", "Progressing");
  return progressing?.reason === "Done";
}

let volumes: string[] = [];

test("applied, it takes half of the slots of inboxes and messages, and no send fails", async () => {
  await add();
  await until("the pods of the second group are up", async () => {
    return zonesOf(await get("kvgroup", GROUP)) === ALL_WELL;
  });
  const upAtMs = performance.now();
  await until("it is said what slots wait for", async () => {
    const progressing = await condition("kvgroup", GROUP, "Progressing");
    return progressing?.message.includes("every pod has read where the new group is") === true;
  });
  // Kubelets take their time: people talk while slots are moved, and not all the time before.
  await rest(upAtMs + HEARD_MS - REPLAY_BEGINS_MS - performance.now());
  await duringReplay({ limit: 300, over: 40 }, async () => {
    const movedMs = await until("the second group has its share", async () => {
      const group = await get("kvgroup", GROUP);
      const { slots } = group.status as { slots?: number };
      return zonesOf(group) === ALL_WELL && slots === 2 * SHARE && (await isSettled());
    });
    measured(`under load, until its share of the slots is moved: ${secondsOf(movedMs)}`);
  });
  const shares = await ranges();
  expect(shares.map(({ keyspace, slots }) => [keyspace, slots]).toSorted()).toEqual([
    ["inbox", SHARE],
    ["message", SHARE],
  ]);
  expect(shares.find(({ keyspace }) => keyspace === "inbox")!.keys).toBeGreaterThan(0);
  expect(await tricampus("kv", "group", "show")).toMatch(new RegExp(`^${NUMBER} +c +ready`, "m"));
  await expect.poll(ofReplicas).toMatchObject({ ok: true, found: "all" });
  volumes = await own("persistentvolumeclaims");
  expect(volumes).toHaveLength(3);
});

test("deleted, it keeps its pods while it has slots, goes without them, and its volumes stay", async () => {
  const pods = await own("pods");
  await duringReplay({ limit: 200, over: 25 }, async () => {
    await slotsOfFirst("Manual");
    await kubectl("delete", "kvgroup", GROUP);
    await until("it is said what keeps the pods", async () => {
      const progressing = await condition("datacenter", "main", "Progressing");
      return progressing?.message.includes(`group ${NUMBER} has no KVGroup any more`) === true;
    });
    expect(await own("pods")).toEqual(pods);
    await slotsOfFirst("Even");
    const goneMs = await until("it is gone", async () => (await own("pods")).length === 0);
    measured(`slots may be moved back, to the group's pods gone: ${secondsOf(goneMs)}`);
    expect(await ranges()).toEqual([]);
  });
  for (const kind of ["statefulsets", "services", "configmaps", "poddisruptionbudgets"])
    await until(`its ${kind} are gone`, async () => (await own(kind)).length === 0);
  expect(await own("persistentvolumeclaims")).toEqual(volumes);
  await wholePlatform();
  expect(JSON.parse(await tricampus("kv", "verify", "--json"))).toMatchObject({ differences: 0 });
});
