import { expect, test } from "vitest";
import { desiredOf } from "../plan/desired.ts";
import { kvWorkloadOf, statelessWorkloads } from "../plan/workloads.ts";
import {
  SAMPLE_BESIDE,
  SAMPLE_FOREIGN,
  SAMPLE_HOOKS,
  sampleDataCenter,
  sampleGroup,
  sampleInputs,
} from "../testing/samples.ts";
import { engineServers, serversAt } from "./engine-servers.ts";

interface Pod {
  initContainers?: { name: string; command: string[]; volumeMounts?: object[] }[];
  containers: { volumeMounts: { name: string; mountPath: string }[] }[];
  volumes: { name: string; secret?: { secretName: string } }[];
}

/** What the operator would apply. */
function built(changes: object) {
  const objects = desiredOf(sampleInputs("test", changes)).map(({ object }) => object);
  const find = (kind: string, name: string) =>
    objects.find((one) => one.kind === kind && one.metadata.name === name);
  const pod = (kind: string, name: string) =>
    (find(kind, name)!.spec as { template: { spec: Pod } }).template.spec;
  return { objects, find, pod };
}

test("engines: without a word nothing stands beside, and no secret of others is mounted", () => {
  const { objects } = built({});
  const text = JSON.stringify(objects);
  for (const word of ["initContainers", "nats", "redis", "client-tls", "s3-secret"])
    expect(text).not.toContain(word);
});

test("engines: NATS stands beside the logs, on their volume, and syncs what it acknowledges", () => {
  const { pod, find } = built(SAMPLE_BESIDE);
  const [nats, ...others] = pod("StatefulSet", "main-queuelog-b").initContainers!;
  expect(others).toEqual([]);
  expect(nats).toMatchObject({
    image: "nats:2.14-alpine",
    restartPolicy: "Always",
    volumeMounts: [
      { name: "data", mountPath: "/data", subPath: "nats" },
      { name: "beside", mountPath: "/etc/nats", readOnly: true },
    ],
  });
  const { data } = find("ConfigMap", "main-queuelog")!;
  const files = data as Record<string, string>;
  expect(files["nats.conf"]).toMatch(/listen: "127.0.0.1:4222".*sync_interval: always/s);
  const { options } = JSON.parse(files["process.json"]!) as { options: object };
  const url = "nats://127.0.0.1:4222";
  const engine = { kind: "nats", servers: { a: url, b: url, c: url } };
  expect(options).toMatchObject({ "queuelog-1": { engine }, "queuelog-2": { engine } });
});

test("engines: Redis stands beside the router, in memory alone, reached by its pod alone", () => {
  const { pod } = built(SAMPLE_BESIDE);
  const [redis] = pod("Deployment", "main-queue-a").initContainers!;
  expect(redis!.command.join(" ")).toContain(
    "--bind 127.0.0.1 --port 6379 --save  --appendonly no",
  );
  expect(redis).not.toHaveProperty("volumeMounts");
});

/** Paths of lists without an item. */
function emptyLists(value: unknown, path: string): string[] {
  if (value === null || typeof value !== "object") return [];
  const inside = Object.entries(value).flatMap(([key, one]) => emptyLists(one, `${path}.${key}`));
  return Array.isArray(value) && value.length === 0 ? [path] : inside;
}

test.each([{}, SAMPLE_BESIDE, SAMPLE_FOREIGN, SAMPLE_HOOKS])(
  "engines: no list is empty, for servers keep none (%j)",
  (changes) => {
    const { objects } = built(changes);
    expect(objects.flatMap((one) => emptyLists(one, `${one.kind} ${one.metadata.name}`))).toEqual(
      [],
    );
  },
);

test("limits: they are a file of all pods, which changes without another pod", () => {
  const [none, five, six] = [{}, { limits: { userBurst: 5 } }, { limits: { userBurst: 6 } }].map(
    built,
  );
  expect(none!.find("ConfigMap", "main-limits")).toBeUndefined();
  expect(five!.find("ConfigMap", "main-limits")!.data).toEqual({
    "limits.json": '{"userBurst":5}',
  });
  for (const [kind, name] of [
    ["Deployment", "main-access-a"],
    ["StatefulSet", "main-kvsvr-1-b"],
  ] as const) {
    const { containers } = five!.pod(kind, name);
    const mounts = containers[0]!.volumeMounts.map(({ mountPath }) => mountPath);
    expect(mounts).toContain("/etc/tricampus/limits");
    expect(six!.find(kind, name)).toEqual(five!.find(kind, name));
  }
});

test("engines: with profile Dev both stand in the one pod", () => {
  const { beside } = kvWorkloadOf(
    sampleDataCenter({ ...SAMPLE_BESIDE, profile: "Dev" }),
    sampleGroup(),
  );
  expect(beside.map(({ name }) => name)).toEqual(["nats", "redis"]);
});

test("engines: servers of others are asked with the Secret that is named, by who needs them alone", () => {
  const { pod, objects } = built(SAMPLE_FOREIGN);
  const secrets = (kind: string, name: string) =>
    pod(kind, name).volumes.flatMap(({ secret }) => secret?.secretName ?? []);
  const ours = ["main-credentials", "main-credentials", "main-tls"];
  expect(secrets("StatefulSet", "main-queuelog-a")).toEqual(expect.arrayContaining(["my-nats"]));
  expect(secrets("Deployment", "main-queue-a")).toEqual(expect.arrayContaining(["my-redis"]));
  expect(secrets("Deployment", "main-media-data-a")).toEqual(expect.arrayContaining(["my-s3"]));
  expect(secrets("Deployment", "main-access-a")).toEqual(expect.arrayContaining(["my-clients"]));
  expect(secrets("StatefulSet", "main-kvsvr-1-a").toSorted()).toEqual(ours);
  expect(JSON.stringify(objects)).not.toContain("initContainers");
  const spec = sampleDataCenter(SAMPLE_FOREIGN);
  const options = statelessWorkloads(spec)[0]!.options;
  expect(options).toMatchObject({
    access: { tls: { certFile: "/etc/tricampus/client-tls/tls.crt" } },
    "queuelog-2": {
      engine: { servers: { b: "tls://b.example:4223" }, secretsDir: "/etc/tricampus/nats-secret" },
    },
    router: { engine: { secretsDir: "/etc/tricampus/redis-secret" } },
    "media-data": {
      engine: { kind: "s3", credentialsFile: "/etc/tricampus/s3-secret/credentials.json" },
    },
  });
});

test("engines: who calls servers of others is let out to their ports, and nobody else", () => {
  const spec = sampleDataCenter(SAMPLE_FOREIGN);
  const ports = statelessWorkloads(spec).map(({ name, services }) => [
    name,
    [...new Set(engineServers(spec, services).map(({ port }) => port))],
  ]);
  expect(Object.fromEntries(ports)).toMatchObject({
    ...{ queuelog: [4223], queue: [6380], "media-data": [443] },
    ...{ access: [], logic: [], admin: [] },
  });
  const { find, objects } = built(SAMPLE_FOREIGN);
  expect(find("NetworkPolicy", "main-queue-engines")!.spec).toMatchObject({
    podSelector: { matchLabels: { "tricampus.dev/workload": "queue" } },
    egress: [{ ports: [{ port: 6380 }] }, { ports: [{ port: 53 }, { port: 53 }] }],
  });
  const policies = objects.filter(({ kind }) => kind === "NetworkPolicy");
  expect(policies.filter(({ metadata }) => metadata.name.endsWith("-engines"))).toHaveLength(3);
});

test("engines: the way out leads to an address, or to the networks that are named, and no further", () => {
  const waysOf = (endpoint: string, foreignNetworks?: string[]) => {
    const s3 = { ...SAMPLE_FOREIGN.engines.media.s3, endpoint };
    const media = { kind: "S3", s3 };
    const { find } = built({ engines: { media }, ...(foreignNetworks && { foreignNetworks }) });
    const { egress } = find("NetworkPolicy", "main-media-data-engines")!.spec as {
      egress: { to?: { ipBlock: { cidr: string } }[]; ports: { port: number }[] }[];
    };
    return egress.map(({ to, ports }) => [
      to?.map(({ ipBlock }) => ipBlock.cidr) ?? "anywhere",
      ports.map(({ port }) => port).join(),
    ]);
  };
  const names = ["anywhere", "53,53"];
  expect(waysOf("https://10.0.0.7:9000/s3")).toEqual([[["10.0.0.7/32"], "9000"]]);
  expect(waysOf("https://[fd00::7]")).toEqual([[["fd00::7/128"], "443"]]);
  expect(waysOf("http://s3.example")).toEqual([["anywhere", "80"], names]);
  expect(waysOf("https://s3.example", ["10.0.0.0/8", "fd00::/8"])).toEqual([
    [["10.0.0.0/8", "fd00::/8"], "443"],
    names,
  ]);
  // The address of a Service: behind it are pods of these networks.
  expect(waysOf("https://10.96.0.7:9000", ["10.244.0.0/16"])).toEqual([
    [["10.96.0.7/32"], "9000"],
    [["10.244.0.0/16"], "9000"],
  ]);
});

test.each([
  ["https://10.0.0.300:9000", { cidr: undefined, port: 9000 }],
  ["https://1.2.3:9000", { cidr: undefined, port: 9000 }],
  ["https://[1:2]:9000", { cidr: undefined, port: 9000 }],
  ["https://[fe80::1%25eth0]:9000", { cidr: undefined, port: 9000 }],
  ["nats://10.0.0.7:4222", { cidr: "10.0.0.7/32", port: 4222 }],
  ["https://[FD00::7]:65535", { cidr: "FD00::7/128", port: 65_535 }],
  ["https://[10.0.0.7]", { cidr: "10.0.0.7/32", port: 443 }],
  ["https://10.0.0.7:65536", undefined],
  ["https://s3.example:0", undefined],
])("engines: of %s an API server takes the way out", (address, server) => {
  expect(serversAt([address])).toEqual(server === undefined ? [] : [server]);
});

test("engines: what people name of a service counts beside and above what its engine is", () => {
  const services = [{ name: "queue", options: { router: { connectionsMax: 7 } } }];
  const { options } = statelessWorkloads(sampleDataCenter({ ...SAMPLE_BESIDE, services }))[0]!;
  expect(options.router).toMatchObject({ connectionsMax: 7, engine: { kind: "redis" } });
});
