/**
 * From the configuration to the list of processes and to the address table: pure, so that what `up`
 * will start can be read off in a test.
 *
 * All layouts run the same services; they differ in who shares a process. In "compact" a campus is
 * KVSvr, access, and one process for everything else; in "modules" media and moments are processes of
 * their own besides, which may crash or be overloaded without messages; in "split" every service is one.
 *
 * A process has one door (a svrkit server on a port) for all its services, except where two of them
 * offer the same methods (the queue logs of both groups): those get doors of their own.
 */
import { join } from "node:path";
import type { PlatformConfig } from "./config.ts";
import {
  ADMIN,
  FURTHER_KV_GROUPS,
  KV_GROUPS,
  PORT_ORDER,
  SERVICES,
  type ServiceName,
} from "./services.ts";

interface Door {
  readonly port: number;
  readonly services: readonly ServiceName[];
  /** Where the same services are served over gRPC, when they are. */
  readonly grpcPort: number | undefined;
}

export interface PlannedProcess {
  /** "a/logic" */
  readonly name: string;
  readonly campus: string;
  readonly services: readonly ServiceName[];
  readonly doors: readonly Door[];
  /** Where clients connect; the process that holds access has it. */
  readonly httpPort: number | undefined;
  /** Where it says how it is, over HTTP. */
  readonly healthPort: number;
}

export interface Address {
  readonly campus: string;
  readonly host: string;
  readonly port: number;
}

export interface Layout {
  readonly processes: readonly PlannedProcess[];
  /** By service: one address a campus, in the order of the campuses. */
  readonly addresses: Readonly<Record<(typeof SERVICES)[number], readonly Address[]>>;
  /** The same by KV group, those that are not started included; position 0 is group 1. */
  readonly kvGroups: readonly (readonly Address[])[];
}

type PortFacts = Pick<PlatformConfig, "campuses" | "basePort" | "ports"> & {
  readonly grpcPorts?: PlatformConfig["grpcPorts"];
};
type LayoutFacts = PortFacts & Pick<PlatformConfig, "layout" | "host"> & { kvGroups?: number };

const PORTS_PER_CAMPUS = 100;
/** From a process's first door to its health door, by the scheme. */
const HEALTH_OFFSET = 50;
const STANDING_ALONE: readonly ServiceName[] = ["access", "kvsvr"];
const MODULES: Readonly<Record<string, readonly ServiceName[]>> = {
  media: ["media-data", "media"],
  moments: ["moments-data", "moments"],
};

export function planLayout(config: LayoutFacts): Layout {
  const processes = config.campuses.flatMap((campus) =>
    processNames(config).map(([process, services]): PlannedProcess => {
      const doors = doorsOf(config, campus, services);
      const httpPort = services.includes("access") ? portOf(config, campus, "http") : undefined;
      const healthPort = HEALTH_OFFSET + portByScheme(config, campus, services[0]!);
      return { name: `${campus}/${process}`, campus, services, doors, httpPort, healthPort };
    }),
  );
  const addresses: Record<string, readonly Address[]> = Object.fromEntries(
    SERVICES.map((service) => [service, addressesOf(service, processes, config.host)]),
  );
  const kvGroups = KV_GROUPS.map((group) =>
    config.campuses.map((campus) => {
      return { campus, host: config.host, port: portOf(config, campus, group) };
    }),
  );
  return { processes, addresses: addresses as Layout["addresses"], kvGroups };
}

/** One address a campus. */
export function addressesIn({ addresses, kvGroups }: Layout, service: ServiceName) {
  const group = KV_GROUPS.findIndex((name) => name === service);
  if (group >= 0) return kvGroups[group]!;
  return service === ADMIN ? [] : addresses[service as keyof Layout["addresses"]];
}

/** A campus's processes and the services in each. */
function processNames(config: LayoutFacts): [string, readonly ServiceName[]][] {
  const alone = (service: ServiceName): [string, readonly ServiceName[]] => [service, [service]];
  const groups = FURTHER_KV_GROUPS.slice(0, (config.kvGroups ?? 1) - 1).map(alone);
  if (config.layout === "split") return [...SERVICES.map(alone), ...groups];
  const modules = config.layout === "modules" ? Object.entries(MODULES) : [];
  const apart = [...STANDING_ALONE, ...modules.flatMap(([, services]) => services)];
  return [
    ...STANDING_ALONE.map(alone),
    ["logic", SERVICES.filter((service) => !apart.includes(service))],
    ...modules,
    ...groups,
  ];
}

function doorsOf(config: PortFacts, campus: string, services: readonly ServiceName[]): Door[] {
  const first = services.filter(
    (service) => !services.some((s) => s < service && sameMethods(s, service)),
  );
  const others = services.filter((service) => !first.includes(service));
  return [first, ...others.map((service) => [service])].map((behind) => ({
    port: portOf(config, campus, behind[0]!),
    services: behind,
    grpcPort: behind.map((service) => config.grpcPorts?.[`${campus}/${service}`]).find((p) => p),
  }));
}

function sameMethods(a: ServiceName, b: ServiceName): boolean {
  return a.startsWith("queuelog-") && b.startsWith("queuelog-");
}

function portOf(config: PortFacts, campus: string, door: ServiceName | "http"): number {
  return config.ports[`${campus}/${door}`] ?? portByScheme(config, campus, door);
}

function portByScheme(
  { basePort, campuses }: PortFacts,
  campus: string,
  door: ServiceName | "http",
): number {
  const base = basePort + PORTS_PER_CAMPUS * campuses.indexOf(campus);
  return base + (door === "http" ? 0 : 1 + PORT_ORDER.indexOf(door));
}

function addressesOf(
  service: ServiceName,
  processes: readonly PlannedProcess[],
  host: string,
): Address[] {
  return processes.flatMap(({ campus, doors }) =>
    doors
      .filter((door) => door.services.includes(service))
      .map(({ port }) => ({ campus, host, port })),
  );
}

/** Where clients connect, one endpoint a campus. */
export function clientEndpoints(config: LayoutFacts): Address[] {
  return planLayout(config).processes.flatMap(({ campus, httpPort }) =>
    httpPort === undefined ? [] : [{ campus, host: config.host, port: httpPort }],
  );
}

/** The folder of a service in a campus: the same in both layouts, so that a layout can be changed. */
export function serviceDataDir(dataDir: string, campus: string, service: ServiceName): string {
  return join(dataDir, campus, service);
}
