/**
 * The Standard profile with NATS and Redis beside the services in all three campuses: one server of each is killed
 * while people talk. In a namespace made anew, since the queue's engine is chosen once.
 */
import { beforeAll, expect, test } from "vitest";
import {
  cluster,
  docker,
  install,
  list,
  measured,
  NAMESPACE,
  nodeOf,
  RELEASE,
  secondsOf,
  tryHelm,
  tryKubectl,
  until,
  wholePlatform,
} from "./testing/cluster.ts";
import { duringReplay } from "./testing/replay.ts";

const ENGINES = {
  "dataCenter.spec.engines.queue.kind": "Nats",
  "dataCenter.spec.engines.router.kind": "Redis",
};

beforeAll(async () => {
  await tryHelm("uninstall", RELEASE, "--wait", "--timeout", "3m");
  await tryKubectl(["delete", "namespace", NAMESPACE, "--ignore-not-found"]);
  const startMs = performance.now();
  await install(cluster.tags[0], ENGINES);
  await wholePlatform();
  measured(
    `helm install with NATS and Redis until all is well: ${secondsOf(performance.now() - startMs)}`,
  );
});

/** By campus: the pod's uid, and how often this server in it was started. */
async function starts(server: string): Promise<Record<string, [uid: string, restarts: number]>> {
  const pods = await list("pods", "tricampus.dev/campus");
  const found = pods.flatMap(({ metadata, status }) => {
    const { initContainerStatuses = [] } = status as {
      initContainerStatuses?: { name: string; restartCount: number }[];
    };
    const own = initContainerStatuses.filter(({ name }) => name === server);
    const campus = metadata.labels!["tricampus.dev/campus"]!;
    return own.map(({ restartCount }) => [campus, [metadata.uid!, restartCount]] as const);
  });
  return Object.fromEntries(found) as Record<string, [string, number]>;
}

/** As when it runs out of memory: it is told nothing. */
async function kill(program: string, campus: string): Promise<void> {
  await docker("exec", await nodeOf(campus), "sh", "-c", `kill -9 $(pgrep -x ${program})`);
}

test("a NATS server and a Redis are killed in different campuses: they come back, and nothing is lost", async () => {
  const before = { nats: await starts("nats"), redis: await starts("redis") };
  for (const servers of Object.values(before)) expect(Object.keys(servers)).toHaveLength(3);
  await duringReplay({ limit: 300, over: 40 }, async (replay) => {
    await kill("nats-server", "a");
    await replay.reached(0.5);
    await kill("redis-server", "b");
  });
  for (const [server, campus] of [
    ["nats", "a"],
    ["redis", "b"],
  ] as const) {
    const [uid, restarts] = before[server][campus]!;
    await until(`${server} was started again in its pod`, async () => {
      const [uidNow, restartsNow] = (await starts(server))[campus]!;
      return uidNow === uid && restartsNow === restarts + 1;
    });
  }
  await wholePlatform();
});
