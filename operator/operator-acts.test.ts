/** What people ask for through objects: blocks, more groups and fewer, and what comes of mistakes. */
import { afterEach, beforeEach, expect, test } from "vitest";
import type { KubeObject } from "./kube/object.ts";
import { isReady } from "./testing/api-double/disruptions.ts";
import { Rig } from "./testing/rig.ts";
import { sampleCampus, sampleDataCenter, sampleGroup, ZONES } from "./testing/samples.ts";

let rig: Rig;
beforeEach(async () => {
  rig = await Rig.open();
  await rig.startOperator();
  rig.install();
  await rig.settled();
});
afterEach(() => rig.close());

const inMinutes = (minutes: number) =>
  `${new Date(Date.now() + minutes * 60_000).toISOString().slice(0, 19)}Z`;
const block = (minutes = 10) => ({ block: { reason: "a new switch", until: inMinutes(minutes) } });
const conditionOf = (campus: string) => rig.condition("Campus", campus, "Blocked");

test("a block is carried into the table once, and shown with who, why and until when", async () => {
  const spec = sampleCampus("b", block());
  rig.write("Campus", "b", spec);
  await rig.until("blocked", () => conditionOf("b") === "True BlockedByTable");
  expect(rig.status("Campus", "b")).toMatchObject({
    state: "blocked",
    block: {
      what: "b",
      until: spec.block!.until,
      reason: "a new switch",
      who: "tricampus-operator/b",
    },
    carried: { outcome: "Blocked" },
  });
  expect(rig.status("DataCenter", "main")).toMatchObject({ campuses: "a=ok b=blocked c=ok" });

  // Somebody ends it in the table: it is not set again, also when the object changes otherwise.
  rig.store.blocks = [];
  await rig.until("ended", () => conditionOf("b") === "False BlockEnded");
  rig.write("Campus", "b", { ...spec, capacity: { busyPercentMax: 70 } });
  await rig.quiet();
  expect(rig.store.audit).toEqual(["block b tricampus-operator/b"]);

  // Another wish is carried; taking it away ends the block.
  rig.write("Campus", "b", sampleCampus("b", block(20)));
  await rig.until("blocked again", () => conditionOf("b") === "True BlockedByTable");
  rig.write("Campus", "b", sampleCampus("b"));
  await rig.until("unblocked", () => conditionOf("b") === "False NotBlocked");
  expect(rig.store.audit.slice(1)).toEqual([
    "block b tricampus-operator/b",
    "unblock b tricampus-operator/b",
  ]);
});

test("a second blocked campus is refused by the table", async () => {
  rig.write("Campus", "b", sampleCampus("b", block()));
  await rig.until("b is blocked", () => conditionOf("b") === "True BlockedByTable");
  rig.write("Campus", "c", sampleCampus("c", block()));
  await rig.until("c is refused", () => conditionOf("c") === "False OtherCampusBlocked");
  expect(rig.message("Campus", "c", "Blocked")).toContain("b is blocked, by tricampus-operator/b");
});

test("a wish that is made again is carried again, whatever came of it the first time", async () => {
  const carried = (campus: string) => rig.status("Campus", campus).carried as object | undefined;
  const [wish, other] = [sampleCampus("c", block()), sampleCampus("b", block())];
  rig.write("Campus", "b", other);
  await rig.until("b is blocked", () => conditionOf("b") === "True BlockedByTable");
  rig.write("Campus", "c", wish);
  await rig.until("c is refused", () => conditionOf("c") === "False OtherCampusBlocked");

  rig.write("Campus", "c", sampleCampus("c"));
  await rig.until("nothing is asked for", () => conditionOf("c") === "False NotBlocked");
  await rig.until("noted", () => JSON.stringify(carried("c")).includes('"Nothing"'));
  rig.store.blocks = [];
  await rig.until("b is free", () => conditionOf("b") === "False BlockEnded");
  rig.write("Campus", "c", wish);
  await rig.until("c is blocked", () => conditionOf("c") === "True BlockedByTable");

  rig.store.blocks = [];
  rig.write("Campus", "c", sampleCampus("c"));
  await rig.until("c is free", () => conditionOf("c") === "False NotBlocked");
  rig.write("Campus", "b", sampleCampus("b"));
  await rig.until("noted", () => JSON.stringify(carried("b")).includes('"Nothing"'));
  rig.write("Campus", "b", other);
  await rig.until("b is blocked again", () => conditionOf("b") === "True BlockedByTable");
});

test("a block waits while another campus's replica could not stand in, and is carried then", async () => {
  rig.store.said.set("kvsvr-1/a", "it catches up with the others");
  await rig.until("seen", () => rig.condition("KVGroup", "main-1", "Degraded").startsWith("True"));
  rig.write("Campus", "b", sampleCampus("b", block()));
  await rig.until("waits", () => conditionOf("b") === "False BlockWaits");
  expect(rig.store.audit).toEqual([]);
  rig.store.said.delete("kvsvr-1/a");
  await rig.until("blocked", () => conditionOf("b") === "True BlockedByTable");
});

test("while the table cannot be read nothing is known of blocks, and nothing carried", async () => {
  rig.store.isReadable = false;
  rig.write("Campus", "b", sampleCampus("b", block()));
  await rig.until("unknown", () => conditionOf("b") === "Unknown TableUnreachable");
  await rig.quiet();
  expect(rig.store.audit).toEqual([]);
});

test("a second group gets its share of slots; without its KVGroup they go back before it goes", async () => {
  rig.write("KVGroup", "main-2", sampleGroup(2, { keyspaces: ["inbox", "message"] }));
  await rig.until("slots move", () => rig.store.slots.inbox!.length === 2);
  await rig.settled();
  expect(rig.store.slots).toMatchObject({
    account: [4_096],
    inbox: [2_048, 2_048],
    message: [2_048, 2_048],
  });
  await rig.until(
    "counted",
    () => rig.status<{ slots?: number }>("KVGroup", "main-2").slots === 4_096,
  );
  rig.remove("KVGroup", "main-2");
  await rig.until("slots are back", () => rig.store.slots.inbox![1] === undefined);
  await rig.until(
    "its sets are gone",
    () => !rig.names("StatefulSet").some((n) => n.includes("kvsvr-2")),
  );
  await rig.settled();
  expect(
    rig.names("PersistentVolumeClaim").filter((name) => name.includes("kvsvr-2")),
  ).toHaveLength(3);
  const order = [...rig.acts].findLast((act) => act.startsWith("delete StatefulSet main-kvsvr-2"));
  expect(order).toContain("nothing asks for it any more");
});

test("a group without its KVGroup can be found until its slots are elsewhere and its pods are gone", async () => {
  const second = sampleGroup(2, { keyspaces: ["inbox"] });
  rig.write("KVGroup", "main-2", second);
  await rig.until("slots move", () => rig.store.slots.inbox!.length === 2);
  await rig.settled();
  const book = () => {
    const { data } = rig.get("ConfigMap", "main-addresses")!;
    return JSON.parse((data as Record<string, string>)["addresses.json"]!);
  };
  const [before, doors] = [book(), Object.keys(book().doors["kvsvr-2"])];
  expect(doors).toEqual(["a", "b", "c"]);
  rig.store.said.set("kvsvr-2/c", "it catches up with the others");
  const waits = () => rig.message("DataCenter", "main", "Progressing");
  rig.remove("KVGroup", "main-2");
  await rig.until("waits", () => waits() === "moving slots waits for all replicas of group 2");
  await rig.quiet();
  expect(book()).toEqual(before);

  // The last that holds its data, with nobody to move it.
  rig.write("KVGroup", "main-1", sampleGroup(1, { slots: "Manual" }));
  await rig.until("a person must", () => waits().startsWith("group 2 has no KVGroup any more"));
  rig.store.said.delete("kvsvr-2/c");
  await rig.quiet();
  expect(book()).toEqual(before);

  rig.write("KVGroup", "main-1", sampleGroup());
  await rig.until("its pods are gone", () => rig.pods("kvsvr-2").length === 0);
  await rig.until("nobody looks for it", () => book().doors["kvsvr-2"] === undefined);
  expect(rig.store.slots.inbox![1]).toBeUndefined();
  await rig.settled();
});

test("a paused group: its pods, volumes and slots stay, others' change; then it is caught up with", async () => {
  rig.write("KVGroup", "main-2", sampleGroup(2, { keyspaces: ["inbox"] }));
  await rig.until("slots move", () => rig.store.slots.inbox!.length === 2);
  await rig.settled();
  const uids = () => rig.pods("kvsvr-2").map(({ metadata }) => metadata.uid);
  const [before, acts] = [uids(), rig.acts.length];
  const replace = { campus: "b", act: "once", reason: "its node is gone" };
  const changed = { keyspaces: ["inbox", "media"], storage: { size: "30Gi" }, replace };
  rig.write("KVGroup", "main-2", sampleGroup(2, { ...changed, paused: true }));
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
  const isNew = ({ spec }: KubeObject) => JSON.stringify(spec).includes("tricampus:2");
  const isRolled = () => rig.pods().filter(isNew).length === 21;
  await rig.until("the others are new", isRolled);
  rig.write("KVGroup", "main-3", sampleGroup(3, { keyspaces: ["group"], paused: true }));
  for (const name of ["main-2", "main-3"])
    await rig.until(
      `${name} says so`,
      () => rig.condition("KVGroup", name, "Progressing") === "False Paused",
    );
  await rig.quiet();
  expect(uids()).toEqual(before);
  expect(rig.acts.slice(acts).filter((act) => /kvsvr-[23]/.test(act))).toEqual([]);
  expect(rig.store.slots).toMatchObject({ inbox: [2_048, 2_048], media: [4_096], group: [4_096] });
  expect(rig.status("KVGroup", "main-2")).not.toHaveProperty("replaced");
  rig.write("KVGroup", "main-2", sampleGroup(2, changed));
  rig.write("KVGroup", "main-3", sampleGroup(3, { keyspaces: ["group"] }));
  await rig.until("all is done", () => rig.pods().filter(isNew).length === 27);
  await rig.until("slots move", () => rig.store.slots.group!.length === 3);
  await rig.settled();
  expect(rig.store.slots.media).toEqual([2_048, 2_048]);
  expect(rig.status("KVGroup", "main-2")).toMatchObject({ replaced: { phase: "Done" } });
});

test("a replica with a new disk counts when its new pod says so, not by the old one's last word", async () => {
  await rig.close();
  rig = await Rig.open({ startMs: 200 });
  rig.store.lingersMs = 600;
  await rig.startOperator();
  rig.install();
  await rig.settled();
  const phaseIn = (status: unknown) =>
    (status as { replaced?: { phase: string } } | undefined)?.replaced?.phase;
  let readyWhenDone: number | undefined;
  rig.double.objects.listen((_, __, { kind, status }) => {
    if (kind === "KVGroup" && phaseIn(status) === "Done")
      readyWhenDone ??= rig.pods("kvsvr-1").filter(isReady).length;
  });
  const replace = { campus: "b", act: "once", reason: "its node is gone" };
  rig.write("KVGroup", "main-1", sampleGroup(1, { replace }));
  await rig.until("replaced", () => phaseIn(rig.status("KVGroup", "main-1")) === "Done");
  expect(readyWhenDone).toBe(3);
});

test("an act is done once, also when the status that says so is lost, as by an earlier version", async () => {
  const replaceLogs = { campus: "b", act: "once", reason: "its disk" };
  const uidOf = () => rig.get("PersistentVolumeClaim", "main-queuelog-b")!.metadata.uid;
  const first = uidOf();
  const phase = () =>
    rig.status<{ replacedLogs?: { phase: string } }>("DataCenter", "main").replacedLogs?.phase;
  rig.write("DataCenter", "main", sampleDataCenter({ replaceLogs }));
  await rig.until("it is done", () => phase() === "Done");
  await rig.settled();
  const second = uidOf();
  expect(second).not.toBe(first);
  const place = { resource: "/apis/tricampus.dev/v1alpha1 datacenters", namespace: "test" };
  rig.double.objects.update(place, "main", (object) => {
    delete (object.status as { replacedLogs?: object }).replacedLogs;
  });
  expect(phase()).toBeUndefined();
  await rig.until("it is known again", () => phase() !== undefined);
  await rig.settled();
  expect(phase()).toBe("Done");
  expect(uidOf()).toBe(second);
});

test("a group whose owner wants its data gone loses its volumes, after its slots", async () => {
  const storage = { policy: "Delete", confirmDelete: "main-2" };
  rig.write("KVGroup", "main-2", sampleGroup(2, { storage }));
  await rig.until("slots move", () => rig.store.slots.inbox!.length === 2);
  await rig.settled();
  rig.remove("KVGroup", "main-2");
  const left = () => rig.names("PersistentVolumeClaim").filter((name) => name.includes("kvsvr-2"));
  await rig.until("its volumes are gone", () => left().length === 0);
});

test("the first group without its KVGroup is kept, and said to be missing", async () => {
  rig.remove("KVGroup", "main-1");
  await rig.until(
    "missing",
    () => rig.condition("DataCenter", "main", "Ready") === "False GroupMissing",
  );
  await rig.quiet();
  expect(rig.pods("kvsvr-1")).toHaveLength(3);
});

test("mistakes are said where they were made, and nothing is done meanwhile", async () => {
  const acts = rig.acts.length;
  rig.write("KVGroup", "twice", sampleGroup(1));
  await rig.until(
    "taken",
    () => rig.condition("DataCenter", "main", "Ready") === "False NumberTaken",
  );
  rig.remove("KVGroup", "twice");
  rig.write("Campus", "b", { ...sampleCampus("b"), zone: "elsewhere" });
  await rig.until(
    "zones",
    () => rig.condition("DataCenter", "main", "Ready") === "False ZoneMismatch",
  );
  rig.remove("Campus", "b");
  await rig.until(
    "campus",
    () => rig.condition("DataCenter", "main", "Ready") === "False CampusMissing",
  );
  rig.write("Campus", "b", sampleCampus("b"));
  rig.write("DataCenter", "main", sampleDataCenter({ limits: { callers: { "kv.Kv": ["text"] } } }));
  await rig.until(
    "limits",
    () => rig.condition("DataCenter", "main", "Ready") === "False LimitsRefused",
  );
  expect(rig.message("DataCenter", "main", "Ready")).toContain(
    'kv.Kv: "text" is none of its usual',
  );
  rig.write("DataCenter", "main", sampleDataCenter());
  await rig.settled();
  expect(rig.acts.slice(acts)).toEqual([]);
  rig.write("KVGroup", "lost", sampleGroup(1, { dataCenter: "nowhere" }));
  await rig.until(
    "lost",
    () => rig.condition("KVGroup", "lost", "Ready") === "False DataCenterMissing",
  );
});

test("a data centre that is gone takes its pods with it; a new one of that name finds its data", async () => {
  const claims = rig.names("PersistentVolumeClaim");
  rig.remove("DataCenter", "main");
  await rig.until("pods are gone", () => rig.pods().length === 0);
  expect(rig.names("PersistentVolumeClaim")).toEqual(claims);
  rig.remove("KVGroup", "main-1");
  rig.install();
  await rig.settled();
  expect(rig.status("KVGroup", "main-1")).toMatchObject({ bootstrap: "Adopted" });
  const { data } = rig.get("ConfigMap", "main-kvsvr-1") as unknown as {
    data: Record<string, string>;
  };
  expect(data["permits.json"]).toBe("{}");
});

test("with NodePort a node that is ready leads people in, as long as its zone has one", async () => {
  await rig.close();
  const nodes = ["a", "b", "c"].flatMap((campus) =>
    [1, 2].map((n) => ({ name: `node-${campus}${n}`, zone: ZONES[campus as "a"] })),
  );
  rig = await Rig.open({ nodes });
  await rig.startOperator();
  rig.install({ clients: { type: "NodePort" } });
  await rig.settled();
  type Doors = { clients?: { campus: string; address: string }[] };
  const hostOf = (name: string) => {
    const { addresses } = rig.get("Node", name)!.status as { addresses: { address: string }[] };
    return addresses[0]!.address;
  };
  const shown = () =>
    rig.status<Doors>("DataCenter", "main").clients?.find(({ campus }) => campus === "b")?.address;
  expect(shown()).toMatch(`${hostOf("node-b1")}:`);
  rig.cluster.loseNode("node-b1");
  await rig.until("the other one", () => shown()?.startsWith(`${hostOf("node-b2")}:`) === true);
  rig.cluster.loseNode("node-b2");
  await rig.until("none is", () => shown()?.startsWith(`${hostOf("node-b1")}:`) === true);
});

test("a certificate that somebody damaged is noticed and issued anew; pods stay", async () => {
  await rig.close();
  rig = await Rig.open();
  let laterMs = 0;
  const operator = await rig.startOperator({ now: () => Date.now() + laterMs });
  rig.install();
  await rig.settled();
  const pods = () => rig.pods().map(({ metadata }) => metadata.uid);
  const before = pods();
  const place = { resource: "/api/v1 secrets", namespace: "test" };
  const certificates = () => rig.get("Secret", "main-tls")!.data as Record<string, string>;
  const { "access.crt": damaged, "queue.crt": other, "queue.key": _, ...whole } = certificates();
  rig.double.objects.update(place, "main-tls", (secret) => {
    secret.data = { ...whole, "access.crt": Buffer.from("no certificate").toString("base64") };
  });
  laterMs = 6 * 60_000;
  operator.lookAtAll();
  await rig.until("both are issued", () => certificates()["queue.crt"] !== undefined);
  const isPem = (text = "") => Buffer.from(text, "base64").toString().startsWith("-----BEGIN");
  expect(isPem(certificates()["access.crt"])).toBe(true);
  expect([damaged, other]).not.toContain(certificates()["access.crt"]);
  await rig.settled();
  expect(pods()).toEqual(before);
});
