/** Every object that a data centre should have, with the digest by which it is compared. Pure. */
import type { Permits } from "../../services/platform/pod/files.ts";
import type { KvGroupSpec } from "../api/kv-group.ts";
import type { KubeObject } from "../kube/object.ts";
import { digestOf } from "../kube/owned-fields.ts";
import {
  addressBook,
  limitsConfig,
  processText,
  workloadConfig,
} from "../manifests/configuration.ts";
import { engineServers } from "../manifests/engine-servers.ts";
import { hookServers } from "../manifests/hooks.ts";
import { networkPolicies } from "../manifests/network-policy.ts";
import { OUTSIDE, outsideService } from "../manifests/outside.ts";
import { PORT } from "../manifests/pod.ts";
import { ANNOTATION, type Site } from "../manifests/site.ts";
import {
  campusService,
  digestOfText,
  disruptionBudget,
  headlessService,
  volumeClaim,
  workloadSet,
} from "../manifests/workload.ts";
import { type Child, childKey, kvWorkload } from "./observed.ts";
import {
  kvWorkloadOf,
  outsideWorkload,
  type PlannedWorkload,
  serviceIn,
  statelessWorkloads,
} from "./workloads.ts";

export interface Desired {
  readonly kind: string;
  readonly name: string;
  /** As of the child that it is compared with (childKey). */
  readonly key: string;
  readonly digest: number;
  /** Digest of its pod template; "" where it has none. */
  readonly template: string;
  /** The campus it is in; "" when it belongs to all. */
  readonly campus: string;
  readonly workload: string;
  /** What is of a later stage waits until everything of earlier ones is there. */
  readonly stage: 1 | 2 | 3;
  readonly object: KubeObject;
}

/** Everything that should be there; or that what is there is exactly that, when it is known to be. */
export type Wanted = readonly Desired[] | "as it is";

/** Every object is there as it should be, and no other one. */
export function isAsWanted(wanted: Wanted, children: ReadonlyMap<string, Child>): boolean {
  if (wanted === "as it is") return true;
  const isMet = ({ key, digest }: Desired) => {
    const child = children.get(key);
    return child?.digest === digest && !child.isLeaving;
  };
  return wanted.length === children.size && wanted.every(isMet);
}

export interface DesiredInputs {
  readonly site: Site;
  readonly groups: readonly KvGroupSpec[];
  /** By workload: what empty disks may do. */
  readonly permits: ReadonlyMap<string, Permits>;
  /** By workload: the campuses whose volume may be made; those of others are there or are missed. */
  readonly volumes: ReadonlyMap<string, readonly string[]>;
  /** By "logic/a"; complete, or what needs it waits. */
  readonly ips: ReadonlyMap<string, string>;
  /** Numbers of groups whose KVGroup is gone and whose pods are there still: they are to be found. */
  readonly retiring: readonly number[];
}

export function workloadsOf({ site, groups }: Pick<DesiredInputs, "site" | "groups">) {
  const stores = groups.map((group) => kvWorkloadOf(site.spec, group));
  return [...stores, ...statelessWorkloads(site.spec)];
}

export function desiredOf(inputs: DesiredInputs): Desired[] {
  return [...movingOf(inputs), ...fixedOf(inputs)];
}

/** What depends on what there is already: before what pods are made of, which read it. */
export function movingOf(inputs: DesiredInputs): Desired[] {
  const workloads = workloadsOf(inputs);
  const retiring = inputs.retiring.map(kvWorkload);
  const addressed = [
    ...workloads,
    ...retiring.map((name) => ({ name, services: [serviceIn(name)] })),
  ];
  return [
    ...workloads.flatMap((workload) => [configOf(inputs, workload), ...claimsOf(inputs, workload)]),
    entry(2, SHARED, addressBook(inputs.site, addressed, inputs.ips)),
  ];
}

/** What people's specs alone say: most of it, and the same until they write again. */
export function fixedOf({ site, groups }: Pick<DesiredInputs, "site" | "groups">): Desired[] {
  const workloads = workloadsOf({ site, groups });
  const campuses = site.spec.campuses.map(({ name }) => name);
  const outside = (["clients", "admin"] as const)
    .filter((door) => door === "clients" || site.spec.tls.mode === "Own")
    .flatMap((door) =>
      campuses.map((campus) => {
        const place = { campus, workload: outsideWorkload(site.spec, door) };
        const object = outsideService(site, door, place);
        return entry(1, { campus, workload: OUTSIDE[door] }, object);
      }),
    );
  const limits = limitsConfig(site);
  return [
    ...outside,
    ...(limits === undefined ? [] : [entry(1, SHARED, limits)]),
    ...policiesOf(site, workloads),
    ...workloads.flatMap((workload) => ofWorkload(site, workload, campuses)),
  ];
}

function policiesOf(site: Site, workloads: readonly PlannedWorkload[]): Desired[] {
  if (site.spec.networkPolicies === "None") return [];
  const { tls } = site.spec;
  const doors = [
    { name: OUTSIDE.clients, workload: outsideWorkload(site.spec, "clients"), port: PORT.client },
    { name: OUTSIDE.admin, workload: outsideWorkload(site.spec, "admin"), port: PORT.admin },
  ].filter(({ name }) => name === OUTSIDE.clients || tls.mode === "Own");
  const foreign = workloads.flatMap(({ name, services }) => {
    const all = [
      { what: "engines", workload: name, servers: engineServers(site.spec, services) },
      { what: "hooks", workload: name, servers: hookServers(site.spec, services) },
    ];
    return all.filter(({ servers }) => servers.length > 0);
  });
  return networkPolicies(site, doors, foreign).map((policy) => entry(1, SHARED, policy));
}

function configOf({ site, permits }: DesiredInputs, workload: PlannedWorkload): Desired {
  const process = processText(site, workload, workload.options);
  const files = {
    process,
    permits: workload.isStateful ? (permits.get(workload.name) ?? {}) : undefined,
  };
  return entry(1, sharedBy(workload), workloadConfig(site, workload, files));
}

function claimsOf({ site, volumes }: DesiredInputs, workload: PlannedWorkload): Desired[] {
  const { storage } = workload;
  if (storage === undefined) return [];
  return (volumes.get(workload.name) ?? []).map((campus) => {
    const place = { campus, workload: workload.name };
    return entry(3, place, volumeClaim(site, workload, { campus, storage }));
  });
}

function ofWorkload(site: Site, workload: PlannedWorkload, campuses: readonly string[]): Desired[] {
  const process = processText(site, workload, workload.options);
  const texts = workload.beside.map(({ text }) => text ?? "");
  const configDigest = digestOfText([process, ...texts].join("\n"));
  const shared = sharedBy(workload);
  return [
    ...(workload.isStateful ? [entry(1, shared, headlessService(site, workload))] : []),
    entry(1, shared, disruptionBudget(site, workload)),
    ...campuses.flatMap((campus) => {
      const place = { campus, workload: workload.name };
      return [
        entry(1, place, campusService(site, workload, campus)),
        entry(3, place, workloadSet(site, workload, { campus, configDigest })),
      ];
    }),
  ];
}

function sharedBy({ name }: PlannedWorkload) {
  return { campus: "", workload: name };
}

const SHARED = { campus: "", workload: "" };

function entry(
  stage: Desired["stage"],
  place: { campus: string; workload: string },
  object: KubeObject,
): Desired {
  return {
    kind: object.kind!,
    name: object.metadata.name,
    key: childKey(object.kind!, object.metadata.name),
    digest: digestOf(object),
    template: object.metadata.annotations?.[ANNOTATION.template] ?? "",
    ...place,
    stage,
    object,
  };
}
