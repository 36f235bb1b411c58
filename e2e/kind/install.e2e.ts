/** From nothing to a conversation of real people, with the chart as it is. */
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import type { KubeObject } from "../../operator/kube/object.ts";
import {
  CAMPUSES,
  CHART,
  cluster,
  get,
  helm,
  install,
  kubectl,
  list,
  measured,
  RELEASE,
  secondsOf,
  tricampus,
  tryTricampus,
  until,
  wholePlatform,
} from "./testing/cluster.ts";
import { Replay } from "./testing/replay.ts";
import { run } from "./testing/run.ts";

test("helm install makes a platform that delivers a message", async () => {
  const startMs = performance.now();
  await install(cluster.tags[0]);
  const register = ["user", "register", "--password", "correct-horse"];
  await until("ann is registered", async () => {
    return (await tryTricampus(...register, "ann")).code === 0;
  });
  await until("bob is registered", async () => {
    return (await tryTricampus(...register, "bob")).code === 0;
  });
  await tricampus("send", "ann", "the first message", "--to", "bob");
  expect(await tricampus("sync", "bob")).toContain("the first message");
  measured(
    `helm install to the first message delivered: ${secondsOf(performance.now() - startMs)}`,
  );
});

test("every replica is in its own zone, and every campus has the same pods", async () => {
  await wholePlatform();
  const nodes = new Map(
    (await list("nodes")).map(({ metadata }) => [
      metadata.name,
      metadata.labels?.["topology.kubernetes.io/zone"],
    ]),
  );
  const pods = await list("pods", "app.kubernetes.io/name=tricampus");
  const perCampus = new Map<string, string[]>();
  for (const { metadata, spec } of pods) {
    const campus = metadata.labels!["tricampus.dev/campus"]!;
    const { nodeName } = spec as { nodeName: string };
    expect(nodes.get(nodeName)).toBe(`campus-${campus}`);
    const workload = metadata.labels!["tricampus.dev/workload"]!;
    perCampus.set(campus, [...(perCampus.get(campus) ?? []), workload].toSorted());
  }
  expect([...perCampus.keys()].toSorted()).toEqual(CAMPUSES);
  const [first, ...others] = CAMPUSES.map((campus) => perCampus.get(campus));
  expect(first).toContain("kvsvr-1");
  for (const other of others) expect(other).toEqual(first);
  const operators = await list("pods", "app.kubernetes.io/name=tricampus-operator");
  const zones = operators.map(({ spec }) => nodes.get((spec as { nodeName: string }).nodeName));
  expect(new Set(zones).size).toBe(3);
});

test("people see it in kubectl and in the command line", async () => {
  expect(await kubectl("get", "kvgroups")).toContain("a=ok b=ok c=ok");
  expect(await kubectl("get", "dc")).toContain("a=ok b=ok c=ok");
  const isShown = (status: string) =>
    CAMPUSES.every((campus) => new RegExp(`^${campus} .*ready`, "m").test(status));
  await until("every campus is shown as ready", async () => isShown(await tricampus("status")));
  const { status: said } = await get("datacenter", "main");
  expect((said as { clients: object[] }).clients).toHaveLength(3);
  await helm("test", RELEASE).catch(async (error: Error) => {
    const said = await kubectl("logs", `${RELEASE}-first-message`).catch(String);
    throw new Error(`${error.message}\n${said}`);
  });
});

test("no budget of disruptions selects a pod that runs once", async () => {
  // One such pod that failed, and stays, would keep every node with an operator from being drained.
  const text = await run("helm", ["template", RELEASE, CHART, "--kube-version", "1.30"]);
  const objects = parseAllDocuments(text).map((one) => one.toJS() as KubeObject | null);
  const ofKind = (kind: string) => objects.flatMap((one) => (one?.kind === kind ? [one] : []));
  const jobs = ofKind("Job").map(({ spec }) => (spec as { template: KubeObject }).template);
  const tasks = [...jobs, ...ofKind("Pod")].map(({ metadata }) => metadata.labels ?? {});
  const budgets = ofKind("PodDisruptionBudget").map(
    ({ spec }) => (spec as { selector: { matchLabels: object } }).selector.matchLabels,
  );
  expect([tasks.length, budgets.length]).toEqual([2, 1]);
  const selects = (labels: object) => (task: Record<string, string>) =>
    Object.entries(labels).every(([name, value]) => task[name] === value);
  expect(tasks.filter(selects(budgets[0]!))).toEqual([]);
});

test("a real chat log is replayed from outside the cluster, and the ledger is clean", async () => {
  const replay = new Replay({ limit: 300, over: 0 });
  const result = await replay.expectClean();
  const { messages, deliveries, seconds, deliveriesPerSecond, sendAckMs } = result;
  measured(
    `replay into kind: ${messages} messages, ${deliveries} deliveries in ${seconds} s ` +
      `(${deliveriesPerSecond}/s), ack p50 ${sendAckMs.p50} ms, p99 ${sendAckMs.p99} ms`,
  );
});
