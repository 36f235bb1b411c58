import { expect, test } from "vitest";
import { SERVICES } from "../../services/platform/services.ts";
import { LAYOUTS } from "../api/layouts.ts";
import { sampleDataCenter, sampleGroup } from "../testing/samples.ts";
import { kvWorkloadOf, serviceIn, statelessWorkloads, wantedCertificates } from "./workloads.ts";

test.each(["Compact", "Split"] as const)(
  "workloads: layout %s holds every service once",
  (layout) => {
    const spec = sampleDataCenter({ layout });
    const workloads = [kvWorkloadOf(spec, sampleGroup()), ...statelessWorkloads(spec)];
    const held = workloads.flatMap(({ services }) => services);
    expect(held.toSorted()).toEqual([...SERVICES, "admin"].toSorted());
    expect(Object.keys(LAYOUTS[layout])).toEqual(statelessWorkloads(spec).map(({ name }) => name));
  },
);

test("workloads: with profile Dev one pod a campus holds everything", () => {
  const spec = sampleDataCenter({ profile: "Dev" });
  expect(statelessWorkloads(spec)).toEqual([]);
  const { services, ports } = kvWorkloadOf(spec, sampleGroup());
  expect(services.toSorted()).toEqual([...SERVICES, "admin"].toSorted());
  expect(ports).toEqual([7100, 7110, 7101, 7102]);
  expect(kvWorkloadOf(spec, sampleGroup(2)).services).toEqual(["kvsvr-2"]);
});

test("workloads: what waits for a checkpoint, and the log of it, leave room in the pod's memory", () => {
  const MIB = 1024 * 1024;
  const optionsIn = (memory?: string, cache = "96Mi") => {
    const resources = memory === undefined ? {} : { limits: { memory } };
    const group = { ...sampleGroup(2), cache, resources };
    return kvWorkloadOf(sampleDataCenter(), group).options["kvsvr-2"];
  };
  expect(optionsIn("1Gi")).toMatchObject({ cacheBytes: 96 * MIB, checkpointBytes: 29 * MIB });
  expect(optionsIn("64Gi")).toMatchObject({ checkpointBytes: 128 * MIB });
  expect(optionsIn("128Mi", "256Mi")).toMatchObject({ checkpointBytes: MIB });
  expect(optionsIn()).toEqual({ cacheBytes: 96 * MIB, group: 2 });
  const { options, resources } = kvWorkloadOf(sampleDataCenter(), sampleGroup());
  expect(resources.limits).toEqual({ memory: "1Gi" });
  expect(options.kvsvr).toMatchObject({ checkpointBytes: 29 * MIB });
});

test("workloads: each is known by a service in it", () => {
  expect(["kvsvr-1", "kvsvr-3", "logic", "queue", "text"].map(serviceIn)).toEqual([
    "kvsvr",
    "kvsvr-3",
    "account-data",
    "router",
    "text",
  ]);
});

test("workloads: certificates name what is in the pods, and no more", () => {
  const spec = sampleDataCenter();
  const wanted = wantedCertificates([
    kvWorkloadOf(spec, sampleGroup()),
    ...statelessWorkloads(spec),
  ]);
  expect(wanted.get("access")).toEqual(["access", "control"]);
  expect(wanted.get("admin")).toEqual(["admin", "cli", "control"]);
  expect(wanted.get("kvsvr")).not.toContain("text");
  expect(wanted.get("operator")).toEqual(["operator"]);
});

test("workloads: without certificates there is no admin door", () => {
  const spec = sampleDataCenter({ tls: { mode: "Plain" } });
  expect(statelessWorkloads(spec).map(({ name }) => name)).not.toContain("admin");
});
