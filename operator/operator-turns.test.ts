/** Whose turn it is to be disturbed, what waits for it, and what the API server or a budget refuses meanwhile. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { rest } from "../services/svrkit/rest.ts";
import type { KubeObject } from "./kube/object.ts";
import type { Asked } from "./testing/api-double/server.ts";
import { Rig } from "./testing/rig.ts";
import { sampleCampus, sampleDataCenter, sampleGroup } from "./testing/samples.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.open();
  await rig.startOperator();
  rig.install();
  await rig.settled();
});
afterEach(() => rig.close());

const inAnHour = () => `${new Date(Date.now() + 3_600_000).toISOString().slice(0, 19)}Z`;
const block = () => ({ block: { reason: "a new switch", until: inAnHour() } });
const conditionOf = (campus: string) => rig.condition("Campus", campus, "Blocked");
const isNew = ({ spec }: KubeObject) => JSON.stringify(spec).includes("tricampus:2");
const progress = () => rig.condition("DataCenter", "main", "Progressing");

test("while a campus is blocked no other is disturbed; the blocked one may be", async () => {
  rig.write("Campus", "b", sampleCampus("b", block()));
  await rig.until("b is blocked", () => conditionOf("b") === "True BlockedByTable");
  const acts = rig.acts.length;
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
  await rig.until("b has it", () =>
    rig.pods("kvsvr-1").some(({ spec }) => JSON.stringify(spec).includes("tricampus:2")),
  );
  await rig.until("waits", () =>
    rig.message("DataCenter", "main", "Progressing").startsWith("campus b is blocked"),
  );
  await rig.quiet();
  const disturbing = rig.acts.slice(acts).filter((act) => act.includes("disturbs"));
  expect(disturbing.length).toBeGreaterThan(0);
  expect(disturbing.every((act) => act.endsWith("disturbs campus b"))).toBe(true);
});

test("while a service of a campus is blocked, no other campus is disturbed either", async () => {
  const facts = { who: "ann", why: "a canary", setAtMs: 0, forced: false };
  const untilMs = Date.now() + 600_000;
  rig.store.blocks = [{ campus: "b", service: "text", untilMs, ...facts }];
  await rig.until("seen", () => rig.message("Campus", "b", "Blocked") === "only b/text is");
  const acts = rig.acts.length;
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
  await rig.until("b has it, and the others wait", () =>
    rig.message("DataCenter", "main", "Progressing").startsWith("campus b is blocked"),
  );
  await rig.quiet();
  const disturbing = rig.acts.slice(acts).filter((act) => act.includes("disturbs"));
  expect(disturbing.length).toBeGreaterThan(0);
  expect(disturbing.every((act) => act.endsWith("disturbs campus b"))).toBe(true);
});

test("while the table cannot be read no campus is disturbed, for anything may be blocked", async () => {
  rig.store.isReadable = false;
  await rig.until("unknown", () => conditionOf("b") === "Unknown TableUnreachable");
  const acts = rig.acts.length;
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
  const replace = { campus: "b", act: "once", reason: "its node is gone" };
  rig.write("KVGroup", "main-1", sampleGroup(1, { replace }));
  await rig.until("waits", () =>
    rig.message("DataCenter", "main", "Progressing").startsWith("the control table cannot"),
  );
  await rig.quiet();
  expect(rig.acts.slice(acts).filter((act) => act.includes("disturbs"))).toEqual([]);
  rig.store.isReadable = true;
  await rig.settled();
});

test("an evicted pod whose object stays keeps no campus from its turn; its successor counts", async () => {
  const [evicted] = rig.pods("logic").filter(({ metadata }) => metadata.name.includes("-b-"));
  rig.cluster.evict(evicted!);
  const [log] = rig.pods("queuelog");
  rig.cluster.evict(log!);
  await rig.until("their successors", () => rig.readyPods === 21 && rig.pods().length === 22);
  await rig.settled();
  expect(rig.status("DataCenter", "main")).toMatchObject({ pods: "21/21" });
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
  await rig.until("new pods everywhere", () => rig.pods().filter(isNew).length === 21);
  await rig.settled();
  const names = rig.pods().map(({ metadata }) => metadata.name);
  expect(names).toContain(evicted!.metadata.name);
});

test("while nobody tells how pods are, none is disturbed; then the roll goes on", async () => {
  const unheard = { fault: "status", code: 503 } as const;
  const { double } = rig;
  double.faultOf = ({ resource }) => (resource === "/api/v1 pods" ? unheard : undefined);
  double.cutWatches();
  await rest(21_000); // what is known is old
  const acts = rig.acts.length;
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
  const waits = () => rig.message("DataCenter", "main", "Progressing");
  await rig.until("it waits", () => waits().includes("has not been heard lately"));
  await rig.quiet();
  expect(rig.acts.slice(acts).filter((act) => act.includes("disturbs"))).toEqual([]);
  expect(rig.condition("DataCenter", "main", "Ready")).toBe("True AllServe");
  double.faultOf = () => undefined;
  await rig.until("all are new", () => rig.pods().filter(isNew).length === 21, 80_000);
  await rig.settled();
}, 150_000);

test("two groups' replicas in two campuses that are to be replaced at once: one after the other", async () => {
  const second = { keyspaces: ["inbox"] };
  rig.write("KVGroup", "main-2", sampleGroup(2, second));
  await rig.until("slots move", () => rig.store.slots.inbox!.length === 2);
  await rig.settled();
  const acts = rig.acts.length;
  const replace = (campus: string) => ({ replace: { campus, act: "once", reason: "its disk" } });
  rig.write("KVGroup", "main-1", sampleGroup(1, replace("a")));
  rig.write("KVGroup", "main-2", sampleGroup(2, { ...second, ...replace("b") }));
  const isWaiting = () =>
    ["main-1", "main-2"].some(
      (name) => rig.condition("KVGroup", name, "Progressing") === "True ReplaceWaits",
    );
  await rig.until("one waits", isWaiting);
  const isDone = (name: string) =>
    rig.status<{ replaced?: { phase: string } }>("KVGroup", name).replaced?.phase === "Done";
  await rig.until("both are done", () => isDone("main-1") && isDone("main-2"));
  await rig.settled();
  const disturbed = rig.acts
    .slice(acts)
    .flatMap((act) => /disturbs campus (.)$/.exec(act)?.[1] ?? []);
  const inOrder = disturbed.filter((campus, i) => campus !== disturbed[i - 1]);
  expect(inOrder.toSorted()).toEqual(["a", "b"]);
});

test("a pod with a second budget, of somebody else, stays and is named; others there are replaced", async () => {
  const selector = { matchLabels: { "tricampus.dev/workload": "kvsvr-1" } };
  rig.write("PodDisruptionBudget", "of-somebody", { minAvailable: 1, selector });
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
  await rig.until("it is said", () => progress() === "True EvictionRefused");
  expect(rig.message("DataCenter", "main", "Progressing")).toMatch(
    /^evict Pod main-kvsvr-1-a-0: .*, disturbs campus a: POST .*: 500 This pod has more than one PodDisruptionBudget/,
  );
  await rig.until("the others", () => rig.pods().filter(isNew).length === 2);
  await rig.quiet();
  const names = rig.pods().filter(isNew);
  expect(names.map(({ metadata }) => metadata.name).toSorted()).toEqual([
    "main-media-data-a-0",
    "main-queuelog-a-0",
  ]);
  rig.remove("PodDisruptionBudget", "of-somebody");
  await rig.until("all are new", () => rig.pods().filter(isNew).length === 21);
  await rig.settled();
});

test("a budget that says not now is asked again; the roll waits, and all that replaces nothing goes on", async () => {
  const budget = "The disruption budget main-kvsvr-1 is still being processed by the server.";
  const notNow = { fault: "status", code: 429, retryAfterSeconds: 20, budget } as const;
  const askedAtMs: number[] = [];
  rig.double.faultOf = ({ subresource, name }) => {
    if (subresource !== "eviction") return undefined;
    if (name === "main-kvsvr-1-a-0") askedAtMs.push(performance.now());
    return notNow;
  };
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
  await rig.until("it is said", () => progress() === "True EvictionRefused", 10_000);
  expect(rig.message("DataCenter", "main", "Progressing")).toContain(`campus a: ${budget}`);
  // While it stands: with a new group, or a block, the turn is nobody's or another's, and it is gone for a while.
  const clients = { type: "LoadBalancer" };
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2", clients }));
  const doors = () => JSON.stringify(rig.get("Service", "main-clients-a")?.spec ?? {});
  await rig.until("doors are made anew", () => doors().includes("LoadBalancer"));
  rig.write("KVGroup", "main-2", sampleGroup(2, { keyspaces: ["inbox"] }));
  await rig.until("slots move", () => rig.store.slots.inbox!.length === 2);
  rig.write("Campus", "b", sampleCampus("b", block()));
  await rig.until("b is blocked", () => conditionOf("b") === "True BlockedByTable");
  rig.write("Campus", "b", sampleCampus("b"));
  await rig.until("b is not any more", () => conditionOf("b") === "False NotBlocked");
  await rig.until("it was asked again", () => askedAtMs.length >= 4);
  // Twice at once, then after 1 s and 2 s, whatever happens meanwhile.
  expect(askedAtMs[3]! - askedAtMs[1]!).toBeGreaterThan(2_000);
  await rig.until("it is said still", () => progress() === "True EvictionRefused");
  const rolled = rig
    .pods()
    .filter(isNew)
    .map(({ metadata }) => metadata.labels!["tricampus.dev/workload"]);
  expect(new Set(rolled)).toEqual(new Set(["kvsvr-2"]));
  rig.double.faultOf = () => undefined;
  await rig.until("all are new", () => rig.pods().filter(isNew).length === 24);
  await rig.settled();
});

const refusing = (resource: string, name: string) => (asked: Asked) =>
  asked.method === "PATCH" && asked.resource.endsWith(` ${resource}`) && asked.name === name
    ? ({ fault: "status", code: 422 } as const)
    : undefined;

test("an object that the server refuses keeps no other from being applied, and is named", async () => {
  rig.double.faultOf = refusing("poddisruptionbudgets", "main-kvsvr-2");
  rig.write("KVGroup", "main-2", sampleGroup(2));
  await rig.until("the group's pods", () => rig.pods("kvsvr-2").length === 3);
  await rig.until(
    "it is said",
    () => rig.condition("DataCenter", "main", "Progressing") === "True ObjectRefused",
  );
  expect(rig.message("DataCenter", "main", "Progressing")).toMatch(
    /^apply PodDisruptionBudget main-kvsvr-2: it is missing: PATCH .*: 422 a fault: 422$/,
  );
  rig.double.faultOf = () => undefined;
  await rig.until("it is there", () => rig.names("PodDisruptionBudget").includes("main-kvsvr-2"));
  await rig.settled();
});

test("what is refused is said also while an act waits, which may wait for just that", async () => {
  const replaceLogs = { campus: "b", act: "once", reason: "its disk" };
  rig.store.isReadable = false;
  rig.write("DataCenter", "main", sampleDataCenter({ replaceLogs }));
  await rig.until("the act waits", () => progress() === "True ReplaceWaits");
  rig.double.faultOf = refusing("configmaps", "main-logic");
  rig.write("DataCenter", "main", sampleDataCenter({ replaceLogs, logLevel: "debug" }));
  await rig.until("it is said", () => progress() === "True ObjectRefused");
  rig.double.faultOf = () => undefined;
  await rig.until("the act waits again", () => progress() === "True ReplaceWaits");
});

test("while a workload's configuration is refused its pods stay; those of others are replaced", async () => {
  rig.double.faultOf = refusing("configmaps", "main-logic");
  const idsOf = (workload: string) => rig.pods(workload).map(({ metadata }) => metadata.uid);
  const [logic, queue] = [idsOf("logic"), idsOf("queue")];
  rig.write("DataCenter", "main", sampleDataCenter({ logLevel: "debug" }));
  await rig.until("queues are new", () => idsOf("queue").every((uid) => !queue.includes(uid)));
  await rig.until("three queues", () => rig.pods("queue").length === 3);
  expect(idsOf("logic")).toEqual(logic);
  expect(rig.message("DataCenter", "main", "Progressing")).toContain("ConfigMap main-logic: ");
  rig.double.faultOf = () => undefined;
  await rig.until("logic is new", () => idsOf("logic").every((uid) => !logic.includes(uid)));
  await rig.settled();
});
