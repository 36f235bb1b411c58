/** What pods read: who they are, where everybody is, what their empty disks may do. Pure. */
import type { Permits, PodProcess } from "../../services/platform/pod/files.ts";
import type { KubeObject } from "../kube/object.ts";
import { stableJson } from "../kube/stable-json.ts";
import { NATS_CONFIG, type Options } from "./engine-servers.ts";
import { LIMITS_KEY, PORT, type Workload } from "./pod.ts";
import { labelsOf, nameOf, ownedMetadata, type Site } from "./site.ts";

/** Queue logs of the second group offer the same methods as those of the first: a door of their own. */
const SECOND_DOOR = "queuelog-2";

function doorsOf(services: readonly string[]): { port: number; services: string[] }[] {
  const first = services.filter((service) => service !== SECOND_DOOR);
  const doors = [{ port: PORT.door as number, services: first }];
  if (services.includes(SECOND_DOOR))
    doors.push({ port: PORT.secondDoor, services: [SECOND_DOOR] });
  return doors;
}

/** The file "process", as text that is the same for the same meaning. */
export function processText(site: Site, workload: Workload, options: Options): string {
  const { spec } = site;
  const known = Object.entries(options).filter(([service]) => workload.services.includes(service));
  const told = {
    dc: spec.id,
    campuses: spec.campuses.map(({ name }) => name),
    process: workload.name,
    logLevel: spec.logLevel,
    doors: doorsOf(workload.services) as PodProcess["doors"],
    options: Object.fromEntries(known),
    healthPort: PORT.health,
    ...(workload.services.includes("access") && { clientPort: PORT.client }),
    ...(workload.services.includes("admin") && { adminPort: PORT.admin }),
    ephemeral: !workload.isStateful,
    plaintext: spec.tls.mode === "Plain",
  } satisfies PodProcess;
  return stableJson(told);
}

export function workloadConfig(
  site: Site,
  workload: Workload,
  texts: { process: string; permits: Permits | undefined },
): KubeObject {
  const { process, permits } = texts;
  const nats = workload.beside.find(({ text }) => text !== undefined)?.text;
  const data = {
    "process.json": process,
    ...(permits !== undefined && { "permits.json": stableJson(permits) }),
    ...(nats !== undefined && { [NATS_CONFIG.file]: nats }),
  };
  const labels = labelsOf(site, workload.name);
  const metadata = ownedMetadata(site, nameOf(site, workload.name), labels);
  return { apiVersion: "v1", kind: "ConfigMap", metadata, data };
}

/** Undefined: nobody said anything of limits. */
export function limitsConfig(site: Site): KubeObject | undefined {
  const { limits } = site.spec;
  if (limits === undefined) return undefined;
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: ownedMetadata(site, nameOf(site, "limits"), labelsOf(site)),
    data: { [LIMITS_KEY]: stableJson(limits) },
  };
}

/** `ips`: by workload and campus, "logic/a". */
export function addressBook(
  site: Site,
  workloads: readonly Pick<Workload, "name" | "services">[],
  ips: ReadonlyMap<string, string>,
): KubeObject {
  const services: Record<string, string> = {};
  const doors: Record<string, Record<string, { host: string; port: number }>> = {};
  for (const workload of workloads) {
    for (const { port, services: behind } of doorsOf(workload.services)) {
      const door = port === PORT.door ? workload.name : `${workload.name}-2`;
      for (const service of behind) services[service] = door;
      doors[door] = {};
      for (const { name: campus } of site.spec.campuses) {
        const host = ips.get(`${workload.name}/${campus}`);
        if (host !== undefined) doors[door][campus] = { host, port };
      }
    }
  }
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: ownedMetadata(site, nameOf(site, "addresses"), labelsOf(site)),
    data: { "addresses.json": stableJson({ services, doors }) },
  };
}
