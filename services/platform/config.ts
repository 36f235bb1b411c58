/**
 * The platform's configuration on one machine: what a person may write into the file given to
 * `tricampus up --config`, and the defaults for the rest. Everything that contradicts itself is
 * refused here, with the name of the field, before a process is started.
 */
import { resolve } from "node:path";
import { z } from "zod";
import { firstWrong, wholeNumber } from "./checked.ts";
import { planLayout } from "./layout.ts";
import { isService, KV_GROUPS, SERVICES } from "./services.ts";

const campusName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,15}$/, "a campus is named by 1-16 of a-z, 0-9 and -, a letter first");

const PORT_MIN = 1_024;
const PORT_MAX = 65_535;
/** Each campus takes a hundred. */
const SCHEME_PORTS = 300;
const port = wholeNumber(PORT_MIN, PORT_MAX);

const LAYOUTS = ["compact", "modules", "split"] as const;
const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

const fields = {
  dc: wholeNumber(0, 255).default(1),
  campuses: z
    .array(campusName)
    .length(3, "a data centre has exactly three")
    .default(["a", "b", "c"]),
  layout: z.enum(LAYOUTS, `must be one of ${LAYOUTS.join(", ")}`).default("compact"),
  /** KV groups that are started; slots are moved to the second and further ones (`tricampus slots`). */
  kvGroups: wholeNumber(1, KV_GROUPS.length).default(1),
  host: z.string().min(1).default("127.0.0.1"),
  basePort: wholeNumber(PORT_MIN, PORT_MAX - SCHEME_PORTS).default(7_100),
  /** Ports that differ from the scheme: "a/kvsvr" or, for the access layer's HTTP door, "a/http". */
  ports: z.record(z.string(), port).default({}),
  /** Doors that are served over gRPC too: "a/text" and the port. None by default. */
  grpcPorts: z.record(z.string(), port).default({}),
  dataDir: z.string().min(1).default("data"),
  /** Services speak TLS with each other, with certificates of the platform's own authority. */
  tls: z.boolean().default(false),
  /** Without tls, doors beyond loopback have to be asked for. */
  plaintext: z.boolean().default(false),
  /** Where a monitoring centre takes the campuses' reports: "host:port", by campus or for all. */
  monitorCentre: z
    .array(z.string().regex(/^[^:\s]+:\d{1,5}$/, "write host:port"))
    .max(3, "at most one a campus")
    .default([]),
  logLevel: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(", ")}`).default("info"),
  /** A service's own options, by its name; each service checks its own. */
  options: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
};

const schema = z.strictObject(fields).superRefine((config, issues) => {
  const report = (path: (string | number)[], message: string) =>
    issues.addIssue({ code: "custom", path, message });
  config.campuses.forEach((name, index) => {
    if (config.campuses.indexOf(name) < index)
      report(["campuses", index], `"${name}" is there twice`);
  });
  for (const name of Object.keys(config.options)) {
    if (!isService(name))
      report(["options", name], `there is no such service; there are ${SERVICES}`);
  }
  const isPlace = (name: string, isOther: (service: string) => boolean) => {
    const [campus, service = "", ...rest] = name.split("/");
    const isKnown = isService(service) || isOther(service);
    return config.campuses.includes(campus!) && isKnown && rest.length === 0;
  };
  for (const name of Object.keys(config.ports)) {
    if (!isPlace(name, (service) => service === "http"))
      report(["ports", name], 'name it campus/service, like "a/kvsvr", or campus/http');
  }
  for (const name of Object.keys(config.grpcPorts)) {
    if (!isPlace(name, () => false))
      report(["grpcPorts", name], 'name it campus/service, like "a/text"');
  }
});

export type PlatformConfig = z.output<typeof schema>;
export type PlatformConfigInput = z.input<typeof schema>;

export class ConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ConfigError";
  }
}

/** The whole configuration; throws a ConfigError of one line that names the field. */
export function checkConfig(input: unknown): PlatformConfig {
  const parsed = schema.safeParse(input);
  if (!parsed.success) {
    const { field, what } = firstWrong(parsed.error, schema);
    throw new ConfigError(`${field || "the configuration"}: ${what}`);
  }
  const config = { ...parsed.data, dataDir: resolve(parsed.data.dataDir) };
  checkPorts(config);
  return config;
}

function checkPorts(config: PlatformConfig): void {
  const owners = new Map<number, string>();
  for (const process of planLayout(config).processes) {
    const doors = process.doors.map((door) => [`${process.campus}/${door.services[0]}`, door.port]);
    const http =
      process.httpPort === undefined ? [] : [[`${process.campus}/http`, process.httpPort]];
    const grpc = process.doors.map((door) => [`${process.name}, gRPC`, door.grpcPort]);
    const health = [[`${process.name}, its health door`, process.healthPort]];
    for (const [name, number] of [...doors, ...http, ...health, ...grpc] as [
      string,
      number | undefined,
    ][]) {
      if (number === undefined) continue;
      const other = owners.get(number);
      if (other !== undefined) {
        const field = config.ports[name] === undefined ? other : name;
        throw new ConfigError(`ports.${field}: ${number} would serve both ${other} and ${name}`);
      }
      owners.set(number, name);
    }
  }
}
