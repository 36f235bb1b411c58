/** The whole operator before a simulated cluster: what it makes, in which order it disturbs, what it leaves alone. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { KubeObject } from "./kube/object.ts";
import { isReady } from "./testing/api-double/disruptions.ts";
import { BROKEN_IMAGE, Rig } from "./testing/rig.ts";
import { sampleDataCenter, sampleGroup } from "./testing/samples.ts";

describe("one data centre, from nothing and through its life", () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await Rig.open();
    await rig.startOperator();
    rig.install();
    await rig.settled();
  });
  afterAll(() => rig.close());

  test("install: pods of every kind in every campus, each on a node of its zone", () => {
    const placed = rig.pods().map(({ metadata, spec }) => {
      const labels = metadata.labels!;
      const { nodeName } = spec as { nodeName: string };
      return `${labels["tricampus.dev/workload"]} ${labels["tricampus.dev/campus"]} ${nodeName}`;
    });
    const kinds = ["access", "admin", "kvsvr-1", "logic", "media-data", "queue", "queuelog"];
    const expected = kinds.flatMap((kind) => ["a", "b", "c"].map((c) => `${kind} ${c} node-${c}`));
    expect(placed.toSorted()).toEqual(expected);
    expect(rig.status("DataCenter", "main")).toMatchObject({
      campuses: "a=ok b=ok c=ok",
      pods: "21/21",
    });
    expect(rig.status("KVGroup", "main-1")).toMatchObject({
      zones: "a=ok b=ok c=ok",
      bootstrap: "Done",
      slots: 7 * 4_096,
    });
  });

  test("install: nobody is told that something is lost which was never there", () => {
    const events = rig.double.objects.all("/apis/events.k8s.io/v1 events");
    const reasons = events.map((event) => (event as unknown as { reason: string }).reason);
    expect(reasons).toContain("PodsMissing");
    expect(reasons).not.toContain("VolumeMissing");
    expect(reasons).not.toContain("QuorumLost");
  });

  test("install: disks were permitted once, and are not any more", () => {
    const { data } = rig.get("ConfigMap", "main-kvsvr-1") as unknown as {
      data: Record<string, string>;
    };
    expect(data["permits.json"]).toBe("{}");
  });

  test("rest: nothing is written when nothing changes", async () => {
    const before = rig.writesButLease();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(rig.writesButLease()).toBe(before);
  });

  test("drift: what somebody changes of ours is set right, what is not ours is left", async () => {
    const place = { resource: "/apis/apps/v1 deployments", namespace: "test" };
    rig.double.objects.update(place, "main-access-b", (object) => {
      (object.spec as { replicas: number }).replicas = 5;
      object.metadata.labels = { ...object.metadata.labels, "someone/else": "x" };
    });
    const replicas = () => rig.get("Deployment", "main-access-b")!.spec as { replicas: number };
    await rig.until("its size is right", () => replicas().replicas === 1);
    await rig.until("3 access pods", () => rig.pods("access").length === 3);
    expect(rig.get("Deployment", "main-access-b")!.metadata.labels).toHaveProperty("someone/else");
    await rig.settled();
  });

  test("limits: the first ones, changed ones and none any more reach pods that stay", async () => {
    const uids = () => rig.pods().map(({ metadata }) => metadata.uid);
    const before = uids();
    const told = () =>
      rig.get("ConfigMap", "main-limits")?.data as Record<string, string> | undefined;
    for (const limits of [{ userBurst: 5 }, { userBurst: 6 }, undefined]) {
      rig.write("DataCenter", "main", sampleDataCenter(limits === undefined ? {} : { limits }));
      const wanted = limits && JSON.stringify(limits);
      await rig.until("the limits are there", () => told()?.["limits.json"] === wanted);
      await rig.settled();
    }
    expect(uids()).toEqual(before);
    const { volumes } = rig.pods("logic")[0]!.spec as { volumes: { name: string }[] };
    const volume = volumes.find(({ name }) => name === "limits");
    expect(volume).toMatchObject({ configMap: { name: "main-limits", optional: true } });
  });

  test("a new image: campus after campus, each whole before the next", async () => {
    const disturbed: string[] = [];
    const leftMin: number[] = [];
    const before = rig.acts.length;
    const isNewAndReady = (pod: KubeObject) =>
      isReady(pod) && JSON.stringify(pod.spec).includes('"image":"tricampus:2"');
    /** Of campus a, when the first Deployment of it was changed. */
    let stateAtFirstApply: string[] | undefined;
    const stopLooking = rig.double.objects.listen((resource, change, object) => {
      const isDeployment = resource === "/apis/apps/v1 deployments" && change.type === "MODIFIED";
      if (!isDeployment || !JSON.stringify(object.spec).includes('"image":"tricampus:2"')) return;
      const names = rig
        .pods()
        .filter(isNewAndReady)
        .map(({ metadata }) => metadata.name);
      stateAtFirstApply ??= names.filter((name) => /-a-0$/.test(name)).toSorted();
    });
    const stop = rig.double.objects.listen((resource, change, object) => {
      if (resource !== "/api/v1 pods" || change.type !== "DELETED") return;
      disturbed.push(object.metadata.labels!["tricampus.dev/campus"]!);
      leftMin.push(rig.pods("kvsvr-1").filter(isReady).length);
    });
    rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
    const isNew = () =>
      rig.pods().every(({ spec }) => JSON.stringify(spec).includes('"image":"tricampus:2"'));
    await rig.until("new pods everywhere", isNew, 15_000);
    await rig.settled();
    stop();
    stopLooking();
    expect(Math.min(...leftMin)).toBe(2);
    const inOrder = disturbed.filter((campus, i) => campus !== disturbed[i - 1]);
    expect(inOrder).toEqual(["a", "b", "c"]);
    expect(disturbed).toHaveLength(21);
    const acts = rig.acts.slice(before).filter((act) => act.endsWith("disturbs campus a"));
    const kinds = acts.map((act) => act.split(" ").slice(0, 2).join(" "));
    expect(kinds).toEqual([...Array(3).fill("evict Pod"), ...Array(4).fill("apply Deployment")]);
    expect(stateAtFirstApply).toEqual([
      "main-kvsvr-1-a-0",
      "main-media-data-a-0",
      "main-queuelog-a-0",
    ]);
  });

  test("an image that cannot start: one campus is lost to it, no more; the next image cures it", async () => {
    rig.write("DataCenter", "main", sampleDataCenter({ image: BROKEN_IMAGE }));
    await rig.until("campus a waits", () =>
      rig.message("KVGroup", "main-1", "Degraded").includes("ImagePullBackOff"),
    );
    await rig.quiet();
    expect(rig.status("KVGroup", "main-1")).toMatchObject({ zones: "a=pending b=ok c=ok" });
    expect(rig.condition("KVGroup", "main-1", "QuorumAvailable")).toBe("True AllServe");
    expect(rig.condition("DataCenter", "main", "Progressing")).toBe("True RolloutStalled");
    expect(rig.message("DataCenter", "main", "Progressing")).toMatch(
      /^campus a: .*ImagePullBackOff/,
    );
    rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:3" }));
    await rig.settled();
    expect(rig.status("KVGroup", "main-1")).toMatchObject({ zones: "a=ok b=ok c=ok" });
  });

  test("a zone is lost: Degraded says which and why; no pod is deleted, no volume touched", async () => {
    const claims = JSON.stringify(rig.names("PersistentVolumeClaim"));
    const acts = rig.acts.length;
    const uids = rig.pods("kvsvr-1").map(({ metadata }) => metadata.uid);
    rig.cluster.loseNode("node-b");
    // The store's silence and the node's state are heard one after the other.
    const why = "campus b is down: it does not answer: its node node-b is not ready";
    await rig.until("degraded", () => rig.message("KVGroup", "main-1", "Degraded") === why);
    expect(rig.condition("KVGroup", "main-1", "Degraded")).toBe("True ReplicaDown");
    expect(rig.status("KVGroup", "main-1")).toMatchObject({ zones: "a=ok b=down c=ok" });
    await rig.quiet();
    expect(rig.acts.slice(acts)).toEqual([]);
    expect(rig.pods("kvsvr-1").map(({ metadata }) => metadata.uid)).toEqual(uids);
    expect(JSON.stringify(rig.names("PersistentVolumeClaim"))).toBe(claims);
    rig.cluster.bringNode("node-b");
    await rig.settled();
    expect(rig.acts.slice(acts)).toEqual([]);
  });

  test("a new image while a zone is lost: the lost one is the only one that is touched", async () => {
    rig.cluster.loseNode("node-c");
    await rig.until(
      "degraded",
      () => rig.condition("KVGroup", "main-1", "Degraded") === "True ReplicaDown",
    );
    const acts = rig.acts.length;
    rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:4" }));
    await rig.until("something is done", () => rig.acts.length > acts);
    await rig.quiet();
    const disturbing = rig.acts.slice(acts).filter((act) => act.includes("disturbs"));
    expect(disturbing.every((act) => act.endsWith("disturbs campus c"))).toBe(true);
    rig.cluster.bringNode("node-c");
    await rig.settled();
  });

  test("a replica's own word counts: while one catches up, no other is restarted", async () => {
    rig.store.said.set("kvsvr-1/a", "it catches up with the others");
    await rig.until(
      "seen",
      () => rig.condition("KVGroup", "main-1", "Degraded") === "True ReplicaUnready",
    );
    rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:5" }));
    await rig.until("its turn", () => rig.acts.at(-1)!.startsWith("evict Pod main-queuelog-a"));
    await rig.until("its pods", () => rig.readyPods === 21);
    await rig.quiet();
    const images = rig
      .pods("kvsvr-1")
      .map(({ spec }) => /tricampus:\d/.exec(JSON.stringify(spec))![0]);
    expect(images.toSorted()).toEqual(["tricampus:4", "tricampus:4", "tricampus:5"]);
    rig.store.said.delete("kvsvr-1/a");
    await rig.settled();
  });

  test("paused: nothing is changed, the status goes on, and says so", async () => {
    rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:6", paused: true }));
    await rig.until(
      "paused",
      () => rig.condition("DataCenter", "main", "Progressing") === "False Paused",
    );
    await rig.quiet();
    expect(rig.pods().some(({ spec }) => JSON.stringify(spec).includes("tricampus:6"))).toBe(false);
    rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:5" }));
    await rig.settled();
  });

  test("sizes: every campus gets its third", async () => {
    const services = [{ name: "access", replicas: 9 }];
    rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:5", services }));
    await rig.until("9 pods", () => rig.pods("access").length === 9);
    await rig.settled();
    const campuses = rig
      .pods("access")
      .map(({ metadata }) => metadata.labels!["tricampus.dev/campus"]);
    expect(campuses.toSorted().join("")).toBe("aaabbbccc");
  });

  test("a volume that is gone is missed, not made anew; replacing it is a named act", async () => {
    rig.remove("PersistentVolumeClaim", "main-kvsvr-1-b");
    await rig.until(
      "missed",
      () => rig.condition("KVGroup", "main-1", "Ready") === "False VolumeMissing",
    );
    await rig.quiet();
    expect(rig.names("PersistentVolumeClaim")).not.toContain("main-kvsvr-1-b");
    const before = rig.pods("kvsvr-1").find(({ metadata }) => metadata.name.includes("-b-"))!;
    const replace = { campus: "b", act: "2026-11-21 ann", reason: "its disk is gone" };
    rig.write("KVGroup", "main-1", sampleGroup(1, { replace }));
    await rig.until("replaced", () => {
      const { replaced } = rig.status<{ replaced?: { phase: string } }>("KVGroup", "main-1");
      return replaced?.phase === "Done";
    });
    await rig.settled();
    const after = rig.pods("kvsvr-1").find(({ metadata }) => metadata.name.includes("-b-"))!;
    expect(after.metadata.uid).not.toBe(before.metadata.uid);
    expect(rig.names("PersistentVolumeClaim")).toContain("main-kvsvr-1-b");
  });

  test("the volume of queue logs that is gone is missed, not made anew; replacing it is a named act", async () => {
    const ofB = () =>
      rig.pods("queuelog").find(({ metadata }) => metadata.name.includes("-b-"))!.metadata.uid;
    const before = ofB();
    rig.remove("PersistentVolumeClaim", "main-queuelog-b");
    const isMissed = () => rig.condition("DataCenter", "main", "Ready") === "False VolumeMissing";
    await rig.until("missed", isMissed);
    await rig.quiet();
    expect(rig.names("PersistentVolumeClaim")).not.toContain("main-queuelog-b");
    const replaceLogs = { campus: "b", act: "2026-11-28  ann", reason: "its disk is gone" };
    const permits: object[] = [];
    rig.double.objects.listen((_, __, { kind, metadata, ...rest }) => {
      const { data } = rest as { data?: Record<string, string> };
      if (kind === "ConfigMap" && metadata.name === "main-queuelog")
        permits.push(JSON.parse(data!["permits.json"]!));
    });
    rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:5", replaceLogs }));
    const phase = () =>
      rig.status<{ replacedLogs?: { phase: string } }>("DataCenter", "main").replacedLogs?.phase;
    await rig.until("replaced", () => phase() === "Done");
    await rig.settled();
    expect(ofB()).not.toBe(before);
    expect(rig.names("PersistentVolumeClaim")).toContain("main-queuelog-b");
    const rebuild = ["queuelog-1", "queuelog-2"].map((service) => {
      return { service, campus: "b", token: "2026-11-28 ann" };
    });
    expect(permits).toContainEqual({ bootstrap: [], rebuild });
    expect(permits.at(-1)).toEqual({ bootstrap: [] });
    await rig.until(
      "all is well",
      () => rig.condition("DataCenter", "main", "Ready") === "True AllServe",
    );
  });
});
