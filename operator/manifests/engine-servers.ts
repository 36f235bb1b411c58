/**
 * NATS and Redis for a data centre whose engines they are. They run beside the service that asks them,
 * in its pods: nobody else reaches them there, so they need neither passwords nor certificates, a campus's
 * NATS is lost with its log's volume and with nothing else, and no call crosses the network. Or they are
 * somebody else's, at the addresses that the DataCenter names. Pure.
 */
import { POD_FILES, POD_FILES_DIR } from "../../services/platform/pod/files.ts";
import type { DataCenterSpec } from "../api/data-center.ts";
import { NETWORK_FORM } from "../api/network-form.ts";
import type { Resources } from "../api/schema.ts";

/** By service: its options. */
export type Options = Readonly<Record<string, Record<string, unknown>>>;

/** A server that runs beside the services of a pod, before they start and until they have ended. */
export interface Beside {
  readonly name: "nats" | "redis";
  readonly image: string;
  readonly command: readonly string[];
  readonly resources: Resources;
  /** Part of the pod's volume that is its; undefined: it keeps nothing. */
  readonly volume: string | undefined;
  /** The text of its configuration file; undefined: it has none. */
  readonly text: string | undefined;
}

export const NATS_CONFIG = { file: "nats.conf", dir: "/etc/nats" } as const;
/** Where a server beside has its part of the pod's volume. */
export const BESIDE_DATA = "/data";
const NATS_PORT = 4222;
/** A batch of a log is cut where it is longer. */
const NATS_MESSAGE_BYTES_MAX = 8 * 1024 * 1024;
const REDIS_PORT = 6379;
const REDIS_MEMORY = "192mb";
const HERE = "127.0.0.1";
const PORT_MAX = 65_535;

const NATS_RESOURCES: Resources = {
  requests: { cpu: "50m", memory: "64Mi" },
  limits: { memory: "512Mi" },
};
const REDIS_RESOURCES: Resources = {
  requests: { cpu: "50m", memory: "32Mi" },
  limits: { memory: "256Mi" },
};

type Engines = Pick<DataCenterSpec, "engines" | "campuses">;

/** The configuration of a NATS server that keeps a log: what it acknowledges is synced. */
export function natsText({ host, dir }: { host: string; dir: string }): string {
  return [
    `listen: "${host}:${NATS_PORT}"`,
    `max_payload: ${NATS_MESSAGE_BYTES_MAX}`,
    `jetstream { store_dir: "${dir}", sync_interval: always }`,
    "",
  ].join("\n");
}

/** Servers that these services need in their pod. */
export function serversBeside({ engines }: Engines, services: readonly string[]): Beside[] {
  const { queue, router } = engines;
  const found: Beside[] = [];
  if (services.includes(LOGS[0]) && queue.kind === "Nats" && queue.nats.external === undefined) {
    found.push({
      name: "nats",
      image: queue.nats.image,
      command: ["nats-server", "--config", `${NATS_CONFIG.dir}/${NATS_CONFIG.file}`],
      resources: queue.nats.resources ?? NATS_RESOURCES,
      volume: "nats",
      text: natsText({ host: HERE, dir: BESIDE_DATA }),
    });
  }
  if (services.includes(ROUTER) && router.kind === "Redis" && router.redis.external === undefined) {
    const inMemory = ["--save", "", "--appendonly", "no"];
    const bounded = ["--maxmemory", REDIS_MEMORY, "--maxmemory-policy", "noeviction"];
    found.push({
      name: "redis",
      image: router.redis.image,
      command: ["redis-server", "--bind", HERE, "--port", `${REDIS_PORT}`, ...inMemory, ...bounded],
      resources: router.redis.resources ?? REDIS_RESOURCES,
      volume: undefined,
      text: undefined,
    });
  }
  return found;
}

/** What the services are told of their engines. */
export function engineOptions(spec: Engines & Pick<DataCenterSpec, "clients">): Options {
  const { queue, router, media } = spec.engines;
  const options: Record<string, Record<string, unknown>> = {};
  if (queue.kind === "Nats") {
    const servers = serversOf(spec, queue.nats.external, `nats://${HERE}:${NATS_PORT}`);
    const engine = { kind: "nats", servers, ...secretsDir(queue.nats, "natsSecret") };
    for (const log of LOGS) options[log] = { engine };
  }
  if (router.kind === "Redis") {
    const servers = serversOf(spec, router.redis.external, `redis://${HERE}:${REDIS_PORT}`);
    options[ROUTER] = {
      engine: { kind: "redis", servers, ...secretsDir(router.redis, "redisSecret") },
    };
  }
  if (media.kind === "S3") {
    const { endpoint, bucket, region } = media.s3!;
    const credentialsFile = `${POD_FILES_DIR}/${POD_FILES.s3Secret}/credentials.json`;
    options[MEDIA] = { engine: { kind: "s3", endpoint, bucket, region, credentialsFile } };
  }
  if (spec.clients.tls !== undefined) {
    const dir = `${POD_FILES_DIR}/${POD_FILES.clientTls}`;
    const tls = { certFile: `${dir}/tls.crt`, keyFile: `${dir}/tls.key` };
    options.access = { tls };
  }
  return options;
}

type EngineSecret = "clientTls" | "natsSecret" | "redisSecret" | "s3Secret";

/** By file that a pod mounts: the Secret of somebody else that it is. */
export function engineSecrets(spec: DataCenterSpec): Partial<Record<EngineSecret, string>> {
  const { queue, router, media } = spec.engines;
  const nats = queue.kind === "Nats" && queue.nats.external && queue.nats.secretName;
  const redis = router.kind === "Redis" && router.redis.external && router.redis.secretName;
  return {
    ...(spec.clients.tls && { clientTls: spec.clients.tls.secretName }),
    ...(nats && { natsSecret: nats }),
    ...(redis && { redisSecret: redis }),
    ...(media.kind === "S3" && { s3Secret: media.s3!.secretName }),
  };
}

/** Which of them the services of a pod need. */
export function engineMounts(spec: DataCenterSpec, services: readonly string[]): EngineSecret[] {
  const needs: Record<EngineSecret, string> = {
    clientTls: "access",
    natsSecret: LOGS[0],
    redisSecret: ROUTER,
    s3Secret: MEDIA,
  };
  const there = Object.keys(engineSecrets(spec)) as EngineSecret[];
  return there.filter((file) => services.includes(needs[file]));
}

/** Servers of others that these services call. */
export function engineServers(
  spec: DataCenterSpec,
  services: readonly string[],
): readonly ForeignServer[] {
  const { queue, router, media } = spec.engines;
  const urls = [
    ...(queue.kind === "Nats" && services.includes(LOGS[0]) ? (queue.nats.external ?? []) : []),
    ...(router.kind === "Redis" && services.includes(ROUTER) ? (router.redis.external ?? []) : []),
  ].map(({ url }) => url);
  if (media.kind === "S3" && services.includes(MEDIA)) urls.push(media.s3!.endpoint);
  return serversAt(urls);
}

export interface ForeignServer {
  /** Its IP address as a network of one; undefined: it is named, and may have any. */
  readonly cidr: string | undefined;
  readonly port: number;
}

const ADDRESS = /^([^:]+):\/\/(?:\[([^\]]*)\]|([^/?#:]*))(?::([0-9]+))?(?:[/?#]|$)/;

/**
 * An API server looks at an address's form and not at its host, so this takes any that has one: a host that
 * is no IP address is a name, and nothing is called at a port that there cannot be.
 */
export function serversAt(addresses: readonly string[]): ForeignServer[] {
  return addresses
    .map((address) => {
      const [, scheme, bracketed, name = "", port] = ADDRESS.exec(address) ?? [];
      const usual = scheme?.toLowerCase() === "http" ? 80 : 443;
      const cidr = networkOfOne(bracketed ?? name);
      return { cidr, port: port === undefined ? usual : Number(port) };
    })
    .filter(({ port }) => port > 0 && port <= PORT_MAX);
}

const NETWORK = new RegExp(NETWORK_FORM);

function networkOfOne(host: string): string | undefined {
  const network = `${host}/${host.includes(":") ? 128 : 32}`;
  return NETWORK.test(network) ? network : undefined;
}

type External = DataCenterSpec["engines"]["queue"]["nats"]["external"];

function serversOf({ campuses }: Engines, external: External, beside: string) {
  return Object.fromEntries(
    campuses.map(({ name }) => {
      return [name, external?.find(({ campus }) => campus === name)?.url ?? beside];
    }),
  );
}

function secretsDir(
  { external, secretName }: { external?: External; secretName?: string | undefined },
  file: EngineSecret,
) {
  if (external === undefined || secretName === undefined) return {};
  return { secretsDir: `${POD_FILES_DIR}/${POD_FILES[file]}` };
}

const LOGS = ["queuelog-1", "queuelog-2"] as const;
const ROUTER = "router";
const MEDIA = "media-data";
