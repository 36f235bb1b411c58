/** A whole zone is lost while people talk: its node is killed, and comes back by itself. */
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

const CAMPUS = "b";
let node: string;

beforeAll(async () => {
  await wholePlatform();
  node = await nodeOf(CAMPUS);
});
afterAll(() => docker("start", node));

test("nothing is lost, the group says what is missing, nothing is deleted, and all comes back", async () => {
  const storesBefore = await identities("pods", "kvsvr-1");
  const claimsBefore = await identities("persistentvolumeclaims", "kvsvr-1");
  await duringReplay({ limit: 300, over: 40 }, async () => {
    await docker("kill", node);
    const seenMs = await until("the KVGroup is degraded", async () => {
      const degraded = await condition("kvgroup", "main-1", "Degraded");
      return degraded?.reason === "ReplicaDown" && degraded.message.includes(`campus ${CAMPUS}`);
    });
    measured(`zone killed to Degraded: ${secondsOf(seenMs)}`);
    expect(zonesOf(await get("kvgroup", "main-1"))).toBe("a=ok b=down c=ok");
    expect((await condition("kvgroup", "main-1", "QuorumAvailable"))?.status).toBe("True");
  });
  expect(await identities("pods", "kvsvr-1")).toEqual(storesBefore);
  expect(await identities("persistentvolumeclaims", "kvsvr-1")).toEqual(claimsBefore);

  await docker("start", node);
  const backMs = await until("3 of 3 are caught up", async () => {
    return zonesOf(await get("kvgroup", "main-1")) === ALL_WELL;
  });
  measured(`zone back to 3 of 3 caught up: ${secondsOf(backMs)}`);
  expect(await identities("persistentvolumeclaims", "kvsvr-1")).toEqual(claimsBefore);
  expect(await identities("pods", "kvsvr-1")).toEqual(storesBefore);
  await wholePlatform();
});

async function identities(kind: string, workload: string): Promise<string[]> {
  const found = await list(kind, `tricampus.dev/workload=${workload}`);
  return found.map(({ metadata }) => `${metadata.name} ${metadata.uid}`).toSorted();
}
