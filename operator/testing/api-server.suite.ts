/**
 * What the operator takes for granted of an API server. Called with the double (every run of the tests) and
 * with a real one (e2e/kind), so that what is proved with the one holds with the other.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ApiClient, ApiError } from "../kube/api-client.ts";
import { apiVersionOf, type KindName, pathOf } from "../kube/api-paths.ts";
import type { Connection } from "../kube/connection.ts";
import type { KubeObject } from "../kube/object.ts";
import { digestOf, ownedDigest } from "../kube/owned-fields.ts";
import { desiredOf } from "../plan/desired.ts";
import { PodSpace } from "./pod-space.ts";
import { SAMPLE_BESIDE, SAMPLE_FOREIGN, sampleDataCenter, sampleInputs } from "./samples.ts";

interface Reached {
  readonly connection: Connection;
  readonly namespace: string;
  /** Another one, in which there may be pods; no node runs them. */
  readonly podSpace: string;
  close(): Promise<void>;
}

const MANAGER = "tricampus";

type WatchEvent = { type: string; object: KubeObject & { code?: number } };

/** Which of two writes an object is of; of kinds whose status controllers write, by their specs alone. */
function writeOf({ kind, metadata }: KubeObject): string {
  const isControlled = CONTROLLED.includes(kind!);
  return `${metadata.uid} ${isControlled ? metadata.generation : metadata.resourceVersion}`;
}

const CONTROLLED = ["Deployment", "StatefulSet", "PodDisruptionBudget", "PersistentVolumeClaim"];

const COUNTED = { timeout: 20_000 };

/** `isOld`: it has forgotten its first versions, as servers do that run for some minutes. */
export function apiServerSuite(
  name: string,
  open: () => Promise<Reached>,
  { isOld }: { isOld: boolean },
): void {
  describe(`API server: ${name}`, () => {
    let reached: Reached;
    let client: ApiClient;
    let pods: PodSpace;
    let unique = 0;
    beforeAll(async () => {
      reached = await open();
      client = new ApiClient(reached.connection);
      pods = new PodSpace(client, reached.podSpace);
    });
    afterAll(async () => {
      client?.stop();
      await reached?.close();
    });

    const at = (kind: KindName, object?: string) => pathOf(kind, reached.namespace, object);
    const fresh = (what: string) => {
      unique += 1;
      return `${what}-${unique}`;
    };
    /** What is empty is left out, since a server does not keep it. */
    const configMap = (object: string, data = {}, labels?: Record<string, string>): KubeObject => ({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: object, ...(labels && { labels }) },
      ...(Object.keys(data).length > 0 && { data }),
    });
    const apply = (
      object: KubeObject,
      options: { by?: string; force?: boolean; sub?: string } = {},
    ) => {
      const { by = MANAGER, force = true, sub = "" } = options;
      const path = `${at(object.kind as KindName, object.metadata.name)}${sub}`;
      return client.request({
        method: "PATCH",
        path: `${path}?fieldManager=${by}&force=${force}`,
        contentType: "application/apply-patch+yaml",
        body: object,
      });
    };
    const get = (kind: KindName, object: string) =>
      client.request({ method: "GET", path: at(kind, object) });
    const refusal = async (work: Promise<unknown>): Promise<ApiError> => {
      const error = await work.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).toBeInstanceOf(ApiError);
      return error as ApiError;
    };
    const watchFor = async (kind: KindName, query: Record<string, string>) => {
      const events: WatchEvent[] = [];
      await client.watch(`${at(kind)}?${new URLSearchParams({ watch: "1", ...query })}`, {
        line: (text) => events.push(JSON.parse(text) as WatchEvent),
        lifeMs: 20_000,
        signal: new AbortController().signal,
      });
      return events;
    };

    test("an apply creates, and the same one again changes nothing", async () => {
      const wanted = configMap(fresh("same"), { a: "1" });
      const first = await apply(wanted);
      const second = await apply(wanted);
      expect(writeOf(second)).toBe(writeOf(first));
      expect(ownedDigest(second, MANAGER)).toBe(digestOf(wanted));
    });

    test.each([
      ["ConfigMap", ""],
      ["KVGroup", ""],
      ["KVGroup", "/status"],
    ] as const)("who applies a %s%s may ask for its metadata alone", async (kind, sub) => {
      const object = fresh("short");
      const spec = { dataCenter: "nowhere", number: 1 };
      const group = { apiVersion: apiVersionOf(kind), kind, metadata: { name: object } };
      const whole = kind === "ConfigMap" ? configMap(object, { a: "1" }) : { ...group, spec };
      if (sub !== "") await apply(whole as KubeObject);
      const answer = await client.request({
        method: "PATCH",
        path: `${at(kind, object)}${sub}?fieldManager=${MANAGER}&force=true`,
        contentType: "application/apply-patch+yaml",
        body: sub === "" ? whole : { ...group, status: { zones: "a=ok" } },
        metadataOnly: true,
      });
      expect(answer.kind).toBe("PartialObjectMetadata");
      expect(answer).not.toHaveProperty("spec");
      const stored = await get(kind, object);
      expect(answer.metadata.resourceVersion).toBe(stored.metadata.resourceVersion);
      expect(stored).toHaveProperty(sub === "" && kind === "ConfigMap" ? "data" : "spec");
    });

    test("an apply, to a status too, that names another version than the object has is refused", async () => {
      const object = fresh("version");
      const body = { apiVersion: apiVersionOf("KVGroup"), kind: "KVGroup" };
      const whole = { ...body, metadata: { name: object }, spec: { dataCenter: "x", number: 1 } };
      const { metadata } = await apply(whole as KubeObject);
      const say = (zones: string, resourceVersion: string | undefined) =>
        client.request({
          method: "PATCH",
          path: `${at("KVGroup", object)}/status?fieldManager=${MANAGER}&force=true`,
          contentType: "application/apply-patch+yaml",
          body: { ...body, metadata: { name: object, resourceVersion }, status: { zones } },
        });
      await say("a=ok", metadata.resourceVersion);
      expect((await refusal(say("a=down", metadata.resourceVersion))).isConflict).toBe(true);
      expect(await get("KVGroup", object)).toMatchObject({ status: { zones: "a=ok" } });
    });

    test("an apply takes back what it does not say any more, and leaves others' fields", async () => {
      const object = fresh("fields");
      await apply(configMap(object, { a: "1", b: "2" }));
      await apply(configMap(object, { c: "3" }), { by: "somebody" });
      const left = await apply(configMap(object, { a: "1" }));
      expect(left.data).toEqual({ a: "1", c: "3" });
      expect(ownedDigest(left, MANAGER)).toBe(digestOf(configMap(object, { a: "1" })));
    });

    test("a foreign change of ours is seen, refused without force, and taken back with it", async () => {
      const wanted = configMap(fresh("drift"), { a: "1" });
      await apply(wanted);
      const changed = await client.request({
        method: "PATCH",
        path: `${at("ConfigMap", wanted.metadata.name)}?fieldManager=kubectl-edit`,
        contentType: "application/merge-patch+json",
        body: { data: { a: "2" } },
      });
      expect(ownedDigest(changed, MANAGER)).not.toBe(digestOf(wanted));
      const conflict = await refusal(apply(wanted, { force: false }));
      expect([conflict.status, conflict.reason]).toEqual([409, "Conflict"]);
      const back = await apply(wanted);
      expect(back.data).toEqual({ a: "1" });
      expect(ownedDigest(back, MANAGER)).toBe(digestOf(wanted));
    });

    test("a list with keys is merged item by item", async () => {
      const [deployment] = desiredOf(sampleInputs(reached.namespace))
        .filter(({ kind }) => kind === "Deployment")
        .map(({ object }) => object);
      // What is owned by nobody who is there is collected, between two applies or later.
      const { ownerReferences: _, ...metadata } = deployment!.metadata;
      const wanted = { ...deployment!, metadata: { ...metadata, name: fresh("lists") } };
      await apply(wanted);
      const container = { name: "tricampus", env: [{ name: "EXTRA", value: "x" }] };
      await apply(
        {
          apiVersion: "apps/v1",
          kind: "Deployment",
          metadata: { name: wanted.metadata.name },
          spec: { template: { spec: { containers: [container] } } },
        },
        { by: "somebody" },
      );
      const both = await apply(wanted);
      const spec = both.spec as {
        template: { spec: { containers: [{ env: { name: string }[] }] } };
      };
      const names = spec.template.spec.containers[0].env.map((one) => one.name);
      expect(names.toSorted()).toEqual(["EXTRA", "POD_NAME", "TRICAMPUS_CAMPUS"]);
      expect(ownedDigest(both, MANAGER)).toBe(digestOf(wanted));
    });

    test.each([
      ["", {}],
      [", servers of engines beside", SAMPLE_BESIDE],
      [", servers of engines elsewhere", SAMPLE_FOREIGN],
    ])("every object that a plan may make is stored as it was meant%s", async (_, changes) => {
      const wrong: string[] = [];
      const { site, ...others } = sampleInputs(reached.namespace, changes);
      // What is owned by nobody who is there is collected.
      const owner = await apply({
        apiVersion: apiVersionOf("DataCenter"),
        kind: "DataCenter",
        metadata: { name: site.name },
        spec: sampleDataCenter() as never,
      });
      const inputs = { ...others, site: { ...site, uid: owner.metadata.uid! } };
      for (const { kind, name, object, digest } of desiredOf(inputs)) {
        const stored = await apply(object);
        if (ownedDigest(stored, MANAGER) !== digest) wrong.push(`${kind} ${name}`);
        const again = await apply(object);
        if (writeOf(again) !== writeOf(stored)) wrong.push(`${kind} ${name}: written twice`);
      }
      expect(wrong).toEqual([]);
    });

    test("status is written apart, and is no new generation; a changed spec is one", async () => {
      const group: KubeObject = {
        apiVersion: apiVersionOf("KVGroup"),
        kind: "KVGroup",
        metadata: { name: fresh("group") },
        spec: { dataCenter: "nowhere", number: 1 },
      };
      const first = await apply({ ...group, status: { zones: "ignored" } } as KubeObject);
      expect(first.status).toBeUndefined();
      const status = { zones: "a=ok b=ok c=ok", slots: 3 };
      const { spec: _, ...rest } = group;
      const told = await apply({ ...rest, status } as KubeObject, { sub: "/status" });
      expect([told.status, told.metadata.generation]).toEqual([status, first.metadata.generation]);
      const next = await apply({
        ...group,
        spec: { dataCenter: "nowhere", number: 1, cache: "8Mi" },
      });
      expect(next.metadata.generation).toBe(first.metadata.generation! + 1);
      expect(next.status).toEqual(status);
    });

    test("a patch that names another version than the newest is refused", async () => {
      const object = fresh("versions");
      const first = await apply(configMap(object, { a: "1" }));
      const patch = (resourceVersion: string, a: string) =>
        client.request({
          method: "PATCH",
          path: at("ConfigMap", object),
          contentType: "application/merge-patch+json",
          body: { metadata: { resourceVersion }, data: { a } },
        });
      await patch(first.metadata.resourceVersion!, "2");
      const error = await refusal(patch(first.metadata.resourceVersion!, "3"));
      expect(error.isConflict).toBe(true);
      expect((await get("ConfigMap", object)).data).toEqual({ a: "2" });
    });

    test("who creates what is there is refused", async () => {
      const body = configMap(fresh("twice"), {});
      await client.request({ method: "POST", path: at("ConfigMap"), body });
      const error = await refusal(client.request({ method: "POST", path: at("ConfigMap"), body }));
      expect([error.status, error.reason]).toEqual([409, "AlreadyExists"]);
    });

    test("a delete hits the object that was looked at, or nothing", async () => {
      const object = fresh("gone");
      const { metadata } = await apply(configMap(object, {}));
      const remove = (uid: string) =>
        client.carryOut({
          method: "DELETE",
          path: at("ConfigMap", object),
          body: { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid } },
        });
      expect((await refusal(remove("another"))).isConflict).toBe(true);
      await remove(metadata.uid!);
      expect((await refusal(get("ConfigMap", object))).isNotFound).toBe(true);
      expect((await refusal(remove(metadata.uid!))).isNotFound).toBe(true);
    });

    test("lists come in pages, and by label", async () => {
      const run = fresh("pages");
      for (const n of [1, 2, 3]) await apply(configMap(`${run}-${n}`, {}, { run }));
      const seen: string[] = [];
      let from = "";
      do {
        const query = new URLSearchParams({ limit: "2", labelSelector: `run=${run}` });
        if (from !== "") query.set("continue", from);
        const page = await client.request<{ metadata: { continue?: string }; items: KubeObject[] }>(
          {
            method: "GET",
            path: `${at("ConfigMap")}?${query}`,
          },
        );
        expect(page.items.length).toBeLessThanOrEqual(2);
        seen.push(...page.items.map(({ metadata }) => metadata.name));
        from = page.metadata.continue ?? "";
      } while (from !== "");
      expect(seen.toSorted()).toEqual([1, 2, 3].map((n) => `${run}-${n}`));
    });

    test("a watch tells what changed since a version, and ends in time", async () => {
      const run = fresh("watch");
      const first = await apply(configMap(`${run}-1`, { a: "1" }, { run }));
      await apply(configMap(`${run}-1`, { a: "2" }, { run }));
      await apply(configMap(`${run}-2`, {}, { run }));
      await client.carryOut({ method: "DELETE", path: at("ConfigMap", `${run}-2`) });
      const begunMs = performance.now();
      const events = await watchFor("ConfigMap", {
        resourceVersion: first.metadata.resourceVersion!,
        labelSelector: `run=${run}`,
        timeoutSeconds: "3",
        allowWatchBookmarks: "true",
      });
      const tookMs = performance.now() - begunMs;
      const told = events.filter(({ type }) => type !== "BOOKMARK");
      expect(told.map(({ type, object }) => `${type} ${object.metadata.name}`)).toEqual([
        `MODIFIED ${run}-1`,
        `ADDED ${run}-2`,
        `DELETED ${run}-2`,
      ]);
      // A server may tell bookmarks and promises none; what it tells comes in order.
      const versions = events.map(({ object }) => Number(object.metadata.resourceVersion));
      expect(versions.toSorted((a, b) => a - b)).toEqual(versions);
      expect(tookMs).toBeGreaterThan(2_000);
      expect(tookMs).toBeLessThan(9_000);
    });

    test("an eviction hits the pod that was looked at, or nothing", async () => {
      const object = fresh("evicted");
      const uid = await pods.makePod(object, object, true);
      expect((await refusal(pods.evict(object, "another"))).isConflict).toBe(true);
      await pods.evict(object, uid);
      expect(await pods.isThere(object)).toBe(false);
      expect((await refusal(pods.evict(object, uid))).isNotFound).toBe(true);
    });

    test("a budget lets so many go as leave enough, and none that is not ready while too few are", async () => {
      const run = fresh("budget");
      const names = ["1", "2", "3", "4"].map((n) => `${run}-${n}`) as [string, ...string[]];
      const [first, second, third, unready] = names as [string, string, string, string];
      await pods.makeBudget(run, run);
      const uids = new Map<string, string>();
      for (const name of names) uids.set(name, await pods.makePod(name, run, name !== unready));
      const go = (name: string) => pods.evict(name, uids.get(name)!);
      await expect.poll(() => pods.counted(run), COUNTED).toBe("3 healthy, 1 may go");
      await go(first);
      await expect.poll(() => pods.counted(run), COUNTED).toBe("2 healthy, 0 may go");
      const refused = await refusal(go(second));
      expect([refused.status, refused.retryAfterMs]).toEqual([429, undefined]);
      const text = `The disruption budget ${run} needs 2 healthy pods and has 2 currently`;
      expect(refused.budget).toBe(text);
      await go(unready);
      await pods.sayReady(third, false);
      await expect.poll(() => pods.counted(run), COUNTED).toBe("1 healthy, 0 may go");
      expect((await refusal(go(third))).budget).toContain("needs 2 healthy pods and has 1");
      const pending = `${run}-5`;
      await pods.evict(pending, await pods.makePod(pending, run, "pending"));
      expect(await pods.isThere(pending)).toBe(false);
      expect(await pods.isThere(first)).toBe(false);
    });

    test("a pod with two budgets is evicted by nobody", async () => {
      const run = fresh("budgets");
      await pods.makeBudget(run, run);
      await pods.makeBudget(`${run}-more`, run);
      const uid = await pods.makePod(run, run, true);
      const error = await refusal(pods.evict(run, uid));
      expect(error.status).toBe(500);
      expect(error.message).toContain("more than one PodDisruptionBudget");
    });

    if (!isOld) return;
    test("what happened before a version that is forgotten is not told: it must be listed", async () => {
      const query = { resourceVersion: "1", timeoutSeconds: "2" };
      const events = await watchFor("ConfigMap", query).catch((error: ApiError) => error);
      const code = events instanceof ApiError ? events.status : events[0]!.object.code;
      expect(code).toBe(410);
    });
  });
}
