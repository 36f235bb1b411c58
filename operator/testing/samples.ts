/** A data centre as tests need one: all defaults, as the API server would fill them in. */

import { type CampusSpec, campusSchema } from "../api/campus.ts";
import { type DataCenterSpec, dataCenterSchema } from "../api/data-center.ts";
import { type KvGroupSpec, kvGroupSchema } from "../api/kv-group.ts";
import type { DesiredInputs } from "../plan/desired.ts";

export const ZONES = { a: "campus-a", b: "campus-b", c: "campus-c" } as const;

export function sampleDataCenter(changes: object = {}): DataCenterSpec {
  const campuses = Object.entries(ZONES).map(([name, zone]) => ({ name, zone }));
  return dataCenterSchema.parse({ spec: { id: 1, campuses, ...changes } }).spec;
}

export function sampleGroup(number = 1, changes: object = {}): KvGroupSpec {
  return kvGroupSchema.parse({ spec: { dataCenter: "main", number, ...changes } }).spec;
}

export function sampleCampus(name: keyof typeof ZONES, changes: object = {}): CampusSpec {
  const spec = { dataCenter: "main", name, zone: ZONES[name], ...changes };
  return campusSchema.parse({ spec }).spec;
}

/** Servers of engines beside the pods, and limits. */
export const SAMPLE_BESIDE = {
  engines: { queue: { kind: "Nats" }, router: { kind: "Redis" } },
  limits: { userBurst: 5 },
};

const external = (scheme: string, port: number) =>
  Object.keys(ZONES).map((campus) => ({ campus, url: `${scheme}://${campus}.example:${port}` }));

/** Servers of engines that are somebody else's, with Secrets of somebody else. */
export const SAMPLE_FOREIGN = {
  engines: {
    queue: { kind: "Nats", nats: { external: external("tls", 4223), secretName: "my-nats" } },
    router: {
      kind: "Redis",
      redis: { external: external("rediss", 6380), secretName: "my-redis" },
    },
    media: {
      kind: "S3",
      s3: { endpoint: "https://s3.example", bucket: "my-media", secretName: "my-s3" },
    },
  },
  clients: { tls: { secretName: "my-clients" } },
};

const hookAt = (url: string, secretName: string) => ({ url, secretName });

/** Servers of integrators, each with a Secret of its own. */
export const SAMPLE_HOOKS = {
  hooks: {
    beforeSend: hookAt("https://filter.example:8443/ask", "my-filter"),
    events: hookAt("https://events.example/", "my-events"),
    pushes: hookAt("http://push.example:8080?app=1", "my-pushes"),
  },
};

/** Everything that can be there is. */
export function sampleInputs(namespace: string, changes: object = {}): DesiredInputs {
  const spec = sampleDataCenter({ clients: { type: "NodePort" }, ...changes });
  const names = ["a", "b", "c"];
  const workloads = ["kvsvr-1", "access", "logic", "queue", "queuelog"];
  const ips = workloads.flatMap((workload, i) =>
    names.map((campus, j) => [`${workload}/${campus}`, `10.96.${i}.${j + 1}`] as const),
  );
  return {
    site: {
      namespace,
      name: "main",
      uid: "11111111-2222-3333-4444-555555555555",
      spec,
      image: "tricampus:test",
    },
    groups: [sampleGroup(1, { storage: { className: "standard", size: "1Gi" } })],
    permits: new Map([["kvsvr-1", { bootstrap: ["kvsvr"] }]]),
    volumes: new Map([
      ["kvsvr-1", names],
      ["queuelog", names],
    ]),
    ips: new Map(ips),
    retiring: [],
  };
}
