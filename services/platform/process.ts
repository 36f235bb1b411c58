/**
 * One process of the platform: the framework's parts, made once, and the services that share them.
 *
 * The doors open when every service has started, not before: until then a caller is refused at once
 * and goes to another campus, instead of being told that a method does not exist. Therefore
 * starting a service never waits for another process.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { Process } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { BlockFollower } from "../control/follower.ts";
import { RevocationFollower } from "../data/account/revoked-client.ts";
import { KvClient } from "../kvsvr/client.ts";
import { AdaptiveLevel } from "../svrkit/admission/adaptive-level.ts";
import { processBeat } from "../svrkit/beat.ts";
import { Client, type ServiceAddress } from "../svrkit/client.ts";
import { inForce, onLimits } from "../svrkit/config/limits-in-force.ts";
import type { ServiceContext } from "../svrkit/context.ts";
import { Blocks } from "../svrkit/failover/blocks.ts";
import { Shards } from "../svrkit/failover/shards.ts";
import { Lifecycle } from "../svrkit/lifecycle.ts";
import { createLogger, type Logger } from "../svrkit/log.ts";
import { PointsFile } from "../svrkit/monitors/points-file.ts";
import { Server } from "../svrkit/server.ts";
import { systemTextFiles } from "../svrkit/text-files.ts";
import { readThread } from "../svrkit/thread-times.ts";
import { Revocations } from "../svrkit/ticket/revocations.ts";
import { SnapshotSealer } from "../svrkit/ticket/snapshot.ts";
import { TicketVerifier } from "../svrkit/ticket/verify.ts";
import { Credentials } from "../svrkit/tls/credentials.ts";
import { CONTROL_IDENTITY } from "../svrkit/tls/identity.ts";
import type { Security } from "../svrkit/transport/tcp.ts";
import { allowedCallers } from "./allowed-callers.ts";
import { HealthDoor } from "./health-door.ts";
import { beginUnsharedIncarnations } from "./incarnations.ts";
import { followLimits } from "./limits-file.ts";
import type { ProcessConfig } from "./process-config.ts";
import { watchProcess } from "./process-monitors.ts";
import { spansOf, statusOf } from "./process-status.ts";
import { loadService } from "./registry.ts";
import { ALL_SERVICES, isService, type ServiceName } from "./services.ts";
import { ticketKeys } from "./ticket-keys.ts";

interface OpenDoor {
  readonly port: number;
  readonly services: readonly string[];
  readonly grpcPort?: number | undefined;
  readonly server: Server;
}

/** Where a service's replicas are, one a campus in the order of the campuses. */
export type AddressesOf = (service: ServiceName) => readonly ServiceAddress[];

interface Parts {
  readonly config: ProcessConfig;
  readonly addresses: AddressesOf;
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  readonly client: Client;
  readonly credentials: Credentials | undefined;
  readonly security: Security;
  readonly blocks: Blocks;
  readonly shards: Shards;
  /** One event loop, one level. */
  readonly admission: AdaptiveLevel;
  readonly doors: readonly OpenDoor[];
  readonly tickets: TicketVerifier;
  readonly keys: ReturnType<typeof ticketKeys>;
  readonly snapshots: SnapshotSealer;
}

export async function runProcess(
  config: ProcessConfig,
  addresses: AddressesOf = (service) => config.addresses[service],
): Promise<void> {
  const log = createLogger({ process: config.name, level: config.logLevel });
  dieOnDefects(log);
  const health = await HealthDoor.open(config);
  const parts = makeParts(config, { log, addresses });
  parts.lifecycle.onStop("health door", () => health?.close());
  parts.lifecycle.onStop("client", () => parts.client.stop());
  parts.credentials?.watch();
  parts.lifecycle.onStop("credentials", () => parts.credentials?.stop());
  followFiles(parts);
  // Before the services: a process that is born in a blocked campus knows it from its first moment.
  const follower = followerOf(parts);
  for (const service of config.services) {
    mkdirSync(service.dataDir, { recursive: true });
    if (config.ephemeral) beginUnsharedIncarnations(service.dataDir);
    const start = await loadService(service.name);
    await start(contextOf(parts, service));
  }
  for (const { server, port, grpcPort } of parts.doors) {
    server.add(Process.status, () => statusOf(config));
    server.add(Process.spans, spansOf);
    await server.listen({ host: config.host, port });
    parts.lifecycle.onStop(`door ${port}`, () => server.stop());
    if (grpcPort !== undefined) await openGrpc(parts, { server, port: grpcPort });
  }
  follower.start();
  parts.lifecycle.onStop("control", () => follower.stop());
  const revocations = revocationFollowerOf(parts);
  revocations?.start();
  parts.lifecycle.onStop("tickets", () => revocations?.stop());
  await keepMonitors(parts);
  parts.lifecycle.attach();
  // Written at exit otherwise, which kill -9 does not wait for.
  flushCompileCache();
  health?.started();
  log.info({ services: config.services.map((s) => s.name) }, "ready");
}

function makeParts(
  config: ProcessConfig,
  { log, addresses }: Pick<Parts, "log" | "addresses">,
): Parts {
  const identity = { process: config.name, campus: config.campus };
  const blocks = new Blocks();
  const credentials = config.tls && new Credentials(config.tls, log);
  const security: Security = { credentials, plaintext: config.plaintext };
  const admission = new AdaptiveLevel({ thread: readThread });
  const { ticketKeyFiles: files, ticketKeysDir: dir } = config;
  const keys = ticketKeys({ files, dir }, log);
  return {
    config,
    addresses,
    log,
    lifecycle: new Lifecycle(log),
    client: new Client(identity, blocks, security),
    credentials,
    security,
    blocks,
    shards: new Shards(),
    admission,
    doors: config.doors.map((door) => ({
      ...door,
      server: new Server(identity, log, { security, allowed: allowedCallers, admission }),
    })),
    tickets: new TicketVerifier(keys.value, { revocations: new Revocations() }),
    keys,
    snapshots: new SnapshotSealer(readFileSync(config.snapshotSecretFile)),
  };
}

function followerOf({
  config,
  addresses,
  client,
  blocks,
  shards,
  doors,
  log,
}: Parts): BlockFollower {
  const local = doors.find((door) => door.services.includes("kvsvr"))?.server;
  return new BlockFollower({
    kvsvr: client.callee("kvsvr", addresses("kvsvr"), { caller: CONTROL_IDENTITY, local }),
    campus: config.campus,
    blocks,
    shards,
    files: systemTextFiles,
    path: config.blocksFile,
    log: log.child({ service: "control" }),
    beat: processBeat,
    now: Date.now,
  });
}

/** What people change while the process runs. */
function followFiles({ config, keys, tickets, admission, log, lifecycle }: Parts): void {
  keys.onChange((changed) => tickets.setKeys(changed));
  keys.watch();
  lifecycle.onStop("ticket keys", () => keys.stop());
  if (config.limitsFile === undefined) return;
  const limits = followLimits(config.limitsFile, { log, copy: config.limitsCopyFile });
  onLimits(() => admission.setThreshold(inForce.queueDelayMs));
  lifecycle.onStop("limits", () => limits.stop());
}

async function openGrpc(
  { config, security, lifecycle }: Parts,
  { server, port }: { server: Server; port: number },
): Promise<void> {
  const { openGrpcDoor } = await import("../svrkit/grpc/door.ts");
  const door = await openGrpcDoor(server, { host: config.host, port }, security);
  lifecycle.onStop(`gRPC door ${port}`, () => door.stop());
}

async function keepMonitors({ config, admission, doors, lifecycle }: Parts): Promise<void> {
  const servers = doors.map(({ server }) => server);
  lifecycle.onStop("monitors", watchProcess(admission, servers));
  await startExport(config, lifecycle);
  if (config.pointsDir === undefined) return;
  const folder = config.pointsDir;
  const points = new PointsFile({ folder, process: config.name, now: Date.now });
  points.start();
  lifecycle.onStop("points", () => points.close());
}

async function startExport({ name, campus }: ProcessConfig, lifecycle: Lifecycle): Promise<void> {
  if (process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] === undefined) return;
  const { exportSpans } = await import("../svrkit/tracing/export.ts");
  lifecycle.onStop("spans", exportSpans({ process: name, campus }));
}

/** Where no ticket is checked, nobody has to know which are good. */
function revocationFollowerOf(parts: Parts): RevocationFollower | undefined {
  const { config, client, shards, doors, addresses, tickets } = parts;
  const checksTickets = config.services.some(({ name }) => !/^(kvsvr|queue|router)/.test(name));
  if (!checksTickets || tickets.revocations === undefined) return undefined;
  const callee = (service: string) => {
    const local = doors.find((door) => door.services.includes(service))?.server;
    return client.callee(service, addresses(service as ServiceName), { caller: "control", local });
  };
  return new RevocationFollower(KvClient.of({ shards, callee }), tickets.revocations);
}

function contextOf(parts: Parts, service: ProcessConfig["services"][number]): ServiceContext {
  const { config, client, blocks, shards, lifecycle, tickets, snapshots } = parts;
  const doorOf = (name: string) => parts.doors.find((door) => door.services.includes(name));
  return {
    service: service.name,
    campus: config.campus,
    campuses: config.campuses,
    dc: config.dc,
    process: config.name,
    dataDir: service.dataDir,
    server: doorOf(service.name)!.server,
    log: parts.log.child({ service: service.name }),
    lifecycle,
    tickets,
    snapshots,
    blocks,
    shards,
    callee(name) {
      if (!isService(name)) {
        throw new Error(`${service.name} calls "${name}", and there is no such service`);
      }
      const options = { caller: service.name, local: doorOf(name)?.server };
      return client.callee(name, parts.addresses(name), options);
    },
    places: {
      services: ALL_SERVICES,
      addressesOf(name) {
        if (!isService(name)) throw new Error(`there is no service "${name}"`);
        return parts.addresses(name);
      },
      security: parts.security,
    },
    options: service.options,
  };
}

/** A state nobody foresaw is not worked on in: the supervisor starts a clean process at once. */
function dieOnDefects(log: Logger): void {
  const die = (kind: string) => (error: unknown) => {
    log.fatal({ err: error }, kind);
    process.exit(1);
  };
  process.on("uncaughtException", die("an exception nobody caught"));
  process.on("unhandledRejection", die("a rejection nobody handled"));
}
