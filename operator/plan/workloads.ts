/** Which pods a data centre is made of. Pure. */
import { ADMIN, KV_GROUPS, SERVICES } from "../../services/platform/services.ts";
import { CONTROL_IDENTITY } from "../../services/svrkit/tls/identity.ts";
import type { DataCenterSpec } from "../api/data-center.ts";
import type { KvGroupSpec } from "../api/kv-group.ts";
import { LAYOUTS } from "../api/layouts.ts";
import type { Resources } from "../api/schema.ts";
import {
  engineMounts,
  engineOptions,
  type Options,
  serversBeside,
} from "../manifests/engine-servers.ts";
import { hookMounts, hookOptions } from "../manifests/hooks.ts";
import { PORT, type Workload } from "../manifests/pod.ts";
import { wholeUnits } from "../manifests/quantity.ts";
import type { Storage } from "../manifests/workload.ts";
import { kvWorkload } from "./observed.ts";

export interface PlannedWorkload extends Workload {
  readonly options: Options;
  /** The volume of each of its pods; undefined: none. */
  readonly storage: Storage | undefined;
  /** The KV group that it is; undefined: it is none. */
  readonly group: number | undefined;
  /** What its certificate says that it is. */
  readonly identities: readonly string[];
}

/** Small pods; who knows the load says more. */
const STATELESS: Resources = {
  requests: { cpu: "50m", memory: "128Mi" },
  limits: { memory: "512Mi" },
};
const LOGS: Resources = { requests: { cpu: "50m", memory: "128Mi" }, limits: { memory: "512Mi" } };
const STORE: Resources = { requests: { cpu: "100m", memory: "256Mi" }, limits: { memory: "1Gi" } };
const WHOLE_CAMPUS: Resources = {
  requests: { cpu: "100m", memory: "384Mi" },
  limits: { memory: "1536Mi" },
};

/** Eight in memory, and three times as much for all else. */
const CHECKPOINTS_IN_MEMORY = 32;
/** The least that the store takes, and what it has where nothing is said. */
const CHECKPOINT_BYTES_MIN = 1024 * 1024;
const CHECKPOINT_BYTES_MAX = 128 * 1024 * 1024;

/** Two pods at once fence each other, or each know half. */
const ALONE: readonly string[] = ["queue", "fanout", "router", "retention"];

const QUEUE_LOG = "queuelog";
const MEDIA = "media-data";

const CREDENTIALS = ["ticketKeys", "snapshotSecret"] as const;

/** All but the store, which comes with its KVGroups. */
export function statelessWorkloads(spec: DataCenterSpec): PlannedWorkload[] {
  if (spec.profile === "Dev") return [];
  const layout: Readonly<Record<string, readonly string[]>> = LAYOUTS[spec.layout];
  // Without certificates nobody could be told from anybody at the admin door.
  const all = Object.entries(layout).filter(([name]) => name !== ADMIN || spec.tls.mode === "Own");
  return all.map(([name, services]) => {
    const size = spec.services.find((one) => one.name === name);
    const storage = storageOf(spec, name);
    const isStateful = storage !== undefined;
    return {
      name,
      services,
      resources: size?.resources ?? (isStateful ? LOGS : STATELESS),
      perCampus: (size?.replicas ?? 3) / 3,
      mounts: [
        ...CREDENTIALS,
        ...(services.includes("account") ? (["ticketSigning", "apiKeys"] as const) : []),
        ...(name === QUEUE_LOG ? (["permits"] as const) : []),
        ...engineMounts(spec, services),
        ...hookMounts(spec, services),
      ],
      beside: serversBeside(spec, services),
      isStateful,
      ports: portsOf(services),
      isAlone: services.some((service) => ALONE.includes(service)),
      options: optionsOf(spec),
      storage: storage && { ...storage, policy: "Retain" },
      group: undefined,
      certificate: name,
      identities: identitiesOf(services),
    };
  });
}

/** What it keeps on a volume; the other pods keep nothing. */
function storageOf({ engines }: DataCenterSpec, name: string) {
  if (name === QUEUE_LOG) return engines.queue.storage;
  const { kind, storage } = engines.media;
  return name === MEDIA && kind === "Files" ? storage : undefined;
}

/** One KV group; with profile Dev the first one holds every other service, too. */
export function kvWorkloadOf(spec: DataCenterSpec, group: KvGroupSpec): PlannedWorkload {
  const isWhole = spec.profile === "Dev" && group.number === 1;
  const own = KV_GROUPS[group.number - 1]!;
  const hasAdmin = isWhole && spec.tls.mode === "Own";
  const services = isWhole ? [...SERVICES, ...(hasAdmin ? [ADMIN] : [])] : [own];
  const { className, size, policy } = group.storage;
  const resources = group.resources ?? (isWhole ? WHOLE_CAMPUS : STORE);
  const config = { group: group.number, ...memoryOf(resources, wholeUnits(group.cache)) };
  return {
    name: kvWorkload(group.number),
    services,
    resources,
    perCampus: 1,
    mounts: [
      ...CREDENTIALS,
      "permits",
      ...(isWhole ? (["ticketSigning", "apiKeys"] as const) : []),
      ...engineMounts(spec, services),
      ...hookMounts(spec, services),
    ],
    beside: serversBeside(spec, services),
    isStateful: true,
    ports: portsOf(services),
    isAlone: true,
    options: { ...optionsOf(spec), [own]: config },
    storage: { className, size, policy },
    group: group.number,
    // All groups have one: their replicas call each other while slots move.
    certificate: isWhole ? WHOLE_CERTIFICATE : STORE_CERTIFICATE,
    identities: [...new Set([...KV_GROUPS, ...identitiesOf(services)])],
  };
}

/**
 * A replica refuses writes when eight times `checkpointBytes` wait for a checkpoint: a quarter of what the
 * limit leaves beside the cache, so that the pod is not killed for it, start after start. Without a limit
 * the store's own default holds.
 */
function memoryOf({ limits }: Resources, cacheBytes: number) {
  const limit = limits?.memory;
  if (limit === undefined) return { cacheBytes };
  const free = Math.max(0, wholeUnits(limit) - cacheBytes);
  const share = Math.floor(free / CHECKPOINTS_IN_MEMORY);
  const checkpointBytes = Math.min(CHECKPOINT_BYTES_MAX, Math.max(CHECKPOINT_BYTES_MIN, share));
  return { cacheBytes, checkpointBytes };
}

/** The admin door leads people through under their own name. */
function identitiesOf(services: readonly string[]): string[] {
  return [...services, ...(services.includes(ADMIN) ? ["cli"] : []), CONTROL_IDENTITY];
}

const STORE_CERTIFICATE = "kvsvr";
const WHOLE_CERTIFICATE = "campus";

/** By name: the services that each certificate must name; the operator's and its people's, too. */
export function wantedCertificates(
  workloads: readonly PlannedWorkload[],
): Map<string, readonly string[]> {
  return new Map([
    ...workloads.map(({ certificate, identities }) => [certificate, identities] as const),
    ["operator", ["operator"]],
    ["cli", ["cli"]],
  ]);
}

/** A service that is in the pods of a workload. */
export function serviceIn(workload: string): string {
  const group = /^kvsvr-(\d)$/.exec(workload);
  if (group !== null) return KV_GROUPS[Number(group[1]) - 1]!;
  const layouts = { ...LAYOUTS.Split, ...LAYOUTS.Compact } as Record<string, readonly string[]>;
  return layouts[workload]?.[0] ?? workload;
}

/** Where people outside come in: the pods behind each of the two doors. */
export function outsideWorkload(spec: DataCenterSpec, door: "clients" | "admin"): string {
  if (spec.profile === "Dev") return kvWorkload(1);
  return door === "clients" ? "access" : ADMIN;
}

function portsOf(services: readonly string[]): number[] {
  return [
    ...(services.includes("access") ? [PORT.client] : []),
    ...(services.includes(ADMIN) ? [PORT.admin] : []),
    PORT.door,
    ...(services.includes("queuelog-2") ? [PORT.secondDoor] : []),
  ];
}

/** By service: what its engine is, its hooks, and what people name of it; theirs counts. */
function optionsOf(spec: DataCenterSpec): Options {
  const named = spec.services.flatMap(({ options }) => Object.entries(options ?? {})) as [
    string,
    Record<string, unknown>,
  ][];
  const all: Record<string, Record<string, unknown>> = {
    ...engineOptions(spec),
    ...hookOptions(spec),
  };
  for (const [service, options] of named) all[service] = { ...all[service], ...options };
  return all;
}
