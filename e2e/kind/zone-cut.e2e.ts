/** A zone is cut off from all others and goes on running, while people talk. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ALL_WELL,
  condition,
  docker,
  get,
  list,
  measured,
  nodeOf,
  secondsOf,
  until,
  wholePlatform,
  zonesOf,
} from "./testing/cluster.ts";
import { duringReplay } from "./testing/replay.ts";

const CAMPUS = "c";
const CHAINS = ["INPUT", "OUTPUT", "FORWARD"] as const;
let node: string;

beforeAll(async () => {
  await wholePlatform();
  node = await nodeOf(CAMPUS);
});
afterAll(() => join());

/** What comes in or goes out by the node's only way to the others is dropped. */
async function cut(): Promise<void> {
  for (const chain of CHAINS) {
    if (chain !== "OUTPUT") await iptables("-I", chain, "-i", "eth0", "-j", "DROP");
    if (chain !== "INPUT") await iptables("-I", chain, "-o", "eth0", "-j", "DROP");
  }
}

async function join(): Promise<void> {
  for (const chain of CHAINS) {
    for (const direction of ["-i", "-o"] as const) {
      const isThere = () =>
        iptables("-C", chain, direction, "eth0", "-j", "DROP").then(
          () => true,
          () => false,
        );
      while (await isThere()) await iptables("-D", chain, direction, "eth0", "-j", "DROP");
    }
  }
}

async function iptables(...args: readonly string[]): Promise<void> {
  await docker("exec", node, "iptables", "-w", ...args);
}

test("nothing is lost, the group says what is missing, and all comes back with the network", async () => {
  const storesBefore = await stores();
  await duringReplay({ limit: 300, over: 40 }, async () => {
    await cut();
    const seenMs = await until("the KVGroup is degraded", async () => {
      const degraded = await condition("kvgroup", "main-1", "Degraded");
      return degraded?.reason === "ReplicaDown" && degraded.message.includes(`campus ${CAMPUS}`);
    });
    measured(`zone cut off to Degraded: ${secondsOf(seenMs)}`);
    expect(zonesOf(await get("kvgroup", "main-1"))).toBe("a=ok b=ok c=down");
  });
  await join();
  const backMs = await until("3 of 3 are caught up", async () => {
    return zonesOf(await get("kvgroup", "main-1")) === ALL_WELL;
  });
  measured(`zone back to 3 of 3 caught up: ${secondsOf(backMs)}`);
  expect(await stores()).toEqual(storesBefore);
  await wholePlatform();
});

async function stores(): Promise<string[]> {
  const found = await list("pods", "tricampus.dev/workload=kvsvr-1");
  return found.map(({ metadata }) => `${metadata.name} ${metadata.uid}`).toSorted();
}
