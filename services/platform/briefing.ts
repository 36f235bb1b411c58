/** What each process of a campus is told (process-config.ts), derived from the platform's configuration. */
import { HOOKS } from "../logic/hook-streams.ts";
import type { PlatformConfig } from "./config.ts";
import {
  addressesIn,
  clientEndpoints,
  type Layout,
  type PlannedProcess,
  planLayout,
  serviceDataDir,
} from "./layout.ts";
import { paths } from "./paths.ts";
import type { ProcessConfig } from "./process-config.ts";
import { secretFiles, TICKET_KEY_ID, tlsFiles } from "./secrets.ts";
import { ALL_SERVICES, KV_GROUPS, type ServiceName } from "./services.ts";

export function processConfigs(config: PlatformConfig, campus: string): ProcessConfig[] {
  const layout = planLayout(config);
  return layout.processes
    .filter((planned) => planned.campus === campus)
    .map((planned) => processConfigOf(config, layout, planned));
}

function processConfigOf(
  config: PlatformConfig,
  layout: Layout,
  planned: PlannedProcess,
): ProcessConfig {
  const secrets = secretFiles(config.dataDir);
  return {
    name: planned.name,
    dc: config.dc,
    campus: planned.campus,
    campuses: config.campuses,
    host: config.host,
    logLevel: config.logLevel,
    doors: planned.doors.map(({ port, services, grpcPort }) => {
      return { port, services: [...services], grpcPort };
    }),
    services: planned.services.map((name) => ({
      name,
      dataDir: serviceDataDir(config.dataDir, planned.campus, name),
      options: optionsOf(config, planned, name),
    })),
    addresses: Object.fromEntries(
      ALL_SERVICES.map((service) => [service, [...addressesIn(layout, service)]]),
    ) as ProcessConfig["addresses"],
    ...(config.tls && { tls: tlsFiles(config.dataDir, planned.name) }),
    plaintext: config.plaintext,
    ticketKeyFiles: { [TICKET_KEY_ID]: secrets.ticketPublicKey },
    snapshotSecretFile: secrets.snapshotSecret,
    limitsFile: paths.limits(config.dataDir),
    limitsCopyFile: paths.limitsCopy(config.dataDir, planned.name),
    healthPort: planned.healthPort,
    blocksFile: paths.blocks(config.dataDir, planned.name),
    pointsDir: paths.points(config.dataDir, planned.campus),
  };
}

/** What the platform knows better than a person, and what a person configured. */
function optionsOf(
  config: PlatformConfig,
  planned: PlannedProcess,
  service: ServiceName,
): Record<string, unknown> {
  const own = config.options[service] ?? {};
  if (service === "access") {
    const scheme = "tls" in own ? "https" : "http";
    const endpoints = clientEndpoints(config).map(({ campus, host, port }) => ({
      ...{ campus, url: `${scheme}://${host}:${port}` },
    }));
    return { host: config.host, port: planned.httpPort, endpoints, ...own };
  }
  if (service === "account") {
    const { ticketPrivateKey, apiKeys } = secretFiles(config.dataDir);
    const files = { privateKeyFile: ticketPrivateKey, apiKeysFile: apiKeys };
    return { keyId: TICKET_KEY_ID, ...files, ...own };
  }
  if (service === "text" || service === "fanout") return { hooks: hooksOf(config), ...own };
  const group = KV_GROUPS.findIndex((name) => name === service);
  // All groups are configured like the first one, and further ones may differ.
  return group > 0 ? { ...config.options["kvsvr"], ...own, group: group + 1 } : own;
}

/** What the service hooks has a server for; who makes messages tells of them only then. */
function hooksOf(config: PlatformConfig): readonly string[] {
  return HOOKS.filter((hook) => config.options["hooks"]?.[hook] !== undefined);
}
