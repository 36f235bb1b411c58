/** A node is gone for good, and its disk with it: nothing is replaced by itself, and all by a named act. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ALL_WELL,
  condition,
  docker,
  get,
  kubectl,
  list,
  measured,
  nodeOf,
  secondsOf,
  tricampus,
  tryTricampus,
  until,
  wholePlatform,
  zonesOf,
} from "./testing/cluster.ts";
import { duringReplay } from "./testing/replay.ts";

const CAMPUS = "c";
const WHY = `its node burnt at ${new Date().toISOString()}`;
const REPLACE = ["kv", "group", "replace", "1", CAMPUS, "--why", WHY] as const;
const people = ["gil", "hal"] as const;
let node: string;

beforeAll(async () => {
  await wholePlatform();
  node = await nodeOf(CAMPUS);
});
afterAll(() => docker("start", node));

test("the replica gets a new volume once somebody says so, and is filled from both others", async () => {
  for (const name of people)
    await tryTricampus("user", "register", name, "--password", "correct-horse");
  await tricampus("send", "gil", "before the fire", "--to", "hal");
  const { spec } = await get("kvgroup", "main-1");
  const claims = await identities("persistentvolumeclaims");
  const pods = await identities("pods");
  await duringReplay({ limit: 300, over: 40 }, async () => {
    await docker("kill", node);
    await until("the KVGroup is degraded", async () => {
      return zonesOf(await get("kvgroup", "main-1")) === "a=ok b=ok c=down";
    });
    const asked = await tryTricampus(...REPLACE);
    expect(asked.stderr).toContain(
      "the volume of main-1's replica in campus c would be deleted: say --yes to do it",
    );
    expect(asked.code).toBe(2);
    expect((await get("kvgroup", "main-1")).spec).toEqual(spec);
    expect(await identities("persistentvolumeclaims")).toEqual(claims);
    expect(await identities("pods")).toEqual(pods);

    await tricampus(...REPLACE, "--yes");
    const newMs = await until("there is another volume", async () => {
      const { c } = await identities("persistentvolumeclaims");
      return c !== undefined && c !== claims.c;
    });
    measured(`replace to a new volume, with the node still away: ${secondsOf(newMs)}`);
  });
  expect((await condition("kvgroup", "main-1", "Progressing"))?.reason).toBe("Replacing");

  await docker("start", node); // stands for the new machine of that zone
  const backMs = await until("3 of 3 are caught up", async () => {
    return zonesOf(await get("kvgroup", "main-1")) === ALL_WELL;
  });
  measured(`a new node to 3 of 3 caught up, from an empty volume: ${secondsOf(backMs)}`);
  await wholePlatform();
  const { a, b } = claims;
  expect(await identities("persistentvolumeclaims")).toMatchObject({ a, b });
  expect(await identities("pods")).toMatchObject({ a: pods.a, b: pods.b });
  const verified = await tricampus("kv", "verify", "--contents", "--json");
  expect(JSON.parse(verified)).toMatchObject({ compared: ["a", "b", "c"], differences: 0 });
  expect(await tricampus("sync", "hal")).toContain("before the fire");
  const { status } = await get("kvgroup", "main-1");
  expect(status).toMatchObject({ replaced: { campus: CAMPUS, phase: "Done" } });
  const events = await kubectl("get", "events", "--field-selector", "reason=Replacing");
  expect(events).toContain(WHY);
});

/** Of the store, by campus. */
async function identities(kind: string): Promise<Record<string, string>> {
  const found = await list(kind, "tricampus.dev/workload=kvsvr-1");
  const entries = found.map(({ metadata }) => [
    metadata.labels!["tricampus.dev/campus"]!,
    metadata.uid!,
  ]);
  return Object.fromEntries(entries) as Record<string, string>;
}
