/**
 * Who does not hold the Lease any more writes nothing, whatever its requests have waited for; and who holds it does not
 * lose it because the server is busy, or slow, with something else.
 */
import { expect, test } from "vitest";
import { rest } from "../services/svrkit/rest.ts";
import type { ApiClient } from "./kube/api-client.ts";
import type { Asked, Fault } from "./testing/api-double/server.ts";
import { Rig } from "./testing/rig.ts";
import { sampleDataCenter } from "./testing/samples.ts";

const ELECTION = { leaseMs: 2_000, renewMs: 100, marginMs: 400 };
/** Longer than a busy machine looks away. */
const KEPT = { leaseMs: 5_000, renewMs: 100, marginMs: 500 };

/** Everybody is told by the server to come again later: whatever this client asks next waits. */
async function askedToWait(rig: Rig, client: ApiClient, seconds: number): Promise<void> {
  const busy = { fault: "status", code: 429, retryAfterSeconds: seconds } as const;
  rig.double.faultOf = ({ resource }) => (resource.endsWith("/v1 secrets") ? busy : undefined);
  const path = "/api/v1/namespaces/test/secrets/none";
  await expect(client.request({ method: "GET", path })).rejects.toThrow("429");
  rig.double.faultOf = () => undefined;
}

test("what a busy server held back is not sent once another operator acts", async () => {
  const rig = await Rig.open();
  try {
    const client = rig.newClient();
    const first = await rig.startOperator({ client, election: ELECTION });
    rig.install();
    await rig.settled();
    await rig.startOperator({ election: ELECTION });
    rig.store.isReadable = false;
    rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
    const progress = () => rig.condition("DataCenter", "main", "Progressing");
    await rig.until("a roll waits", () => progress() === "True RolloutWaits");
    await rig.quiet();

    const late: string[] = [];
    client.onRequest = ({ method, path }) => {
      if (path.includes("/leases")) throw new Error("it does not reach the server");
      if (method !== "GET" && !first.election.isLeading) late.push(`${method} ${path}`);
    };
    await askedToWait(rig, client, 3);
    expect(first.election.isLeading).toBe(true);
    rig.store.isReadable = true; // a pod of campus a is to go; that it may is asked now
    await rest(100);
    rig.cluster.loseNode("node-b"); // from here on, it may not
    const zones = () => rig.status<{ zones?: string }>("KVGroup", "main-1").zones;
    await rig.until("the other one acts", () => zones() === "a=ok b=down c=ok");
    await rest(4_000); // longer than the first one was to wait
    expect(late).toEqual([]);
    expect(rig.acts.filter((act) => act.endsWith("disturbs campus a"))).toEqual([]);
    expect(zones()).toBe("a=ok b=down c=ok");
  } finally {
    await rig.close();
  }
});

const BUSY = { fault: "status", code: 429, retryAfterSeconds: 8 } as const;
const OTHERS: [what: string, isIt: (asked: Asked) => boolean, fault: Fault][] = [
  ["watches are told to come again later", ({ isWatch }) => isWatch, BUSY],
  ["everything else is told to come again later", ({ resource }) => !isLease(resource), BUSY],
  ["nothing else is answered", ({ resource }) => !isLease(resource), { fault: "mute" }],
];
const isLease = (resource: string) => resource.endsWith(" leases");

test.each(OTHERS)("the Lease is kept while %s", async (_, isIt, fault) => {
  const rig = await Rig.open();
  try {
    const client = rig.newClient();
    const { election } = await rig.startOperator({ client, election: KEPT });
    await rig.until("it acts", () => election.isLeading);
    let isAlways = true;
    const looking = setInterval(() => {
      isAlways &&= election.isLeading;
    }, 10);
    rig.double.faultOf = (asked) => (isIt(asked) ? fault : undefined);
    rig.double.cutWatches();
    // More than there are connections for.
    const path = "/api/v1/namespaces/test/configmaps/none";
    const asking = Array.from({ length: 40 }, () =>
      client.request({ method: "GET", path, timeoutMs: 6_000 }).catch(() => {}),
    );
    await rest(6_000);
    clearInterval(looking);
    expect(isAlways).toBe(true);
    await Promise.all(asking);
  } finally {
    await rig.close();
  }
});
