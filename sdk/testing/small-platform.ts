/**
 * A platform for tests: campuses that share one SmallBackend, each with a real access service, a
 * real router and real account services, over one real store, with real sockets on free ports.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start as startAccess } from "../../services/access/main.ts";
import { start as startAccountData } from "../../services/data/account/main.ts";
import type { KvClient } from "../../services/kvsvr/client.ts";
import { startCluster } from "../../services/kvsvr/testing/cluster.ts";
import { start as startAccount } from "../../services/logic/account/main.ts";
import { findFreePort } from "../../services/platform/free-ports.ts";
import { start as startRouter } from "../../services/router/main.ts";
import { type Callee, Client, type ServiceAddress } from "../../services/svrkit/client.ts";
import type { ServiceContext, StartService } from "../../services/svrkit/context.ts";
import { Blocks } from "../../services/svrkit/failover/blocks.ts";
import { Shards } from "../../services/svrkit/failover/shards.ts";
import { Lifecycle } from "../../services/svrkit/lifecycle.ts";
import { silentLogger } from "../../services/svrkit/log.ts";
import { Server } from "../../services/svrkit/server.ts";
import { newTicketKeys, TicketSigner } from "../../services/svrkit/ticket/sign.ts";
import { SnapshotSealer } from "../../services/svrkit/ticket/snapshot.ts";
import { TicketVerifier } from "../../services/svrkit/ticket/verify.ts";
import type { Endpoint } from "../endpoints.ts";
import { SmallBackend } from "./small-backend.ts";

const HOST = "127.0.0.1";
const KEY_ID = "test";

export interface SmallPlatform {
  readonly endpoints: readonly Endpoint[];
  readonly backend: SmallBackend;
  readonly signer: TicketSigner;
  /** Hears of no log-outs. */
  readonly tickets: TicketVerifier;
  readonly kv: KvClient;
  readonly snapshots: SnapshotSealer;
  /** How services reach the access processes. */
  readonly access: Callee;
  /** What the processes of all campuses take for blocked. */
  readonly blocks: Blocks;
  /** The services besides access, as the service `caller` reaches them. */
  calleeAs(caller: string): Callee;
  stopCampus(index: number): Promise<void>;
  stop(): Promise<void>;
}

interface Ports {
  readonly logic: number;
  readonly access: number;
  readonly http: number;
}

interface SmallPlatformOptions {
  readonly campuses?: readonly string[];
  /** Of every access service, and of those of one campus. */
  readonly accessOptions?: object;
  readonly accessOptionsOf?: Readonly<Record<string, object>>;
}

export async function startSmallPlatform(
  options: SmallPlatformOptions = {},
): Promise<SmallPlatform> {
  const campuses = options.campuses ?? ["a"];
  const dir = mkdtempSync(join(tmpdir(), "tricampus-small-"));
  const keys = newTicketKeys();
  const privateKeyFile = join(dir, "private.pem");
  writeFileSync(privateKeyFile, keys.privateKey);
  const tickets = new TicketVerifier({ [KEY_ID]: keys.publicKey });
  const snapshots = new SnapshotSealer(Buffer.alloc(32, 7));
  const backend = new SmallBackend({ tickets, snapshots });
  const ports = await Promise.all(campuses.map(freePorts));
  const store = await startCluster();
  const stops: (() => Promise<void>)[] = [];
  const addressesOf = (port: "access" | "logic") =>
    campuses.map((campus, i) => ({ campus, host: HOST, port: ports[i]![port] }));
  const outside = new Client({ process: "test", campus: "-" });
  const blocks = new Blocks();
  for (const [index, campus] of campuses.entries()) {
    const log = silentLogger();
    const shared = { campus, campuses, dc: 1, log, tickets, snapshots, blocks };
    const addresses = (service: string): readonly ServiceAddress[] => {
      if (service === "kvsvr") return store.addresses;
      return addressesOf(service === "access" ? "access" : "logic");
    };
    const process = new SmallProcess(shared, join(dir, campus), addresses);
    const callee = (service: string) =>
      process.client.callee(service, addresses(service), { caller: "text" });
    backend.serve(process.logic, { router: callee("router"), access: callee("access") });
    await process.start("router", startRouter, {});
    await process.start("account-data", startAccountData, {});
    // A cheap hash: its cost is tested where it belongs.
    const cost = { passwordMemoryKib: 64, passwordPasses: 1 };
    await process.start("account", startAccount, { keyId: KEY_ID, privateKeyFile, ...cost });
    await process.start("access", startAccess, {
      ...{ host: HOST, port: ports[index]!.http, leaveOverMs: 0 },
      ...options.accessOptions,
      ...options.accessOptionsOf?.[campus],
    });
    await process.listen(ports[index]!);
    stops.push(() => process.stop());
  }
  return {
    endpoints: campuses.map((campus, i) => ({ campus, url: `http://${HOST}:${ports[i]!.http}` })),
    backend,
    signer: new TicketSigner(KEY_ID, keys.privateKey),
    tickets,
    kv: store.kv,
    snapshots,
    blocks,
    access: outside.callee("access", addressesOf("access"), { caller: "fanout" }),
    calleeAs: (caller) => outside.callee("logic", addressesOf("logic"), { caller }),
    stopCampus: (index) => stops[index]!(),
    stop: async () => {
      outside.stop();
      await Promise.all(stops.map((stop) => stop()));
      await store.close();
      rmSync(dir, { recursive: true });
    },
  };
}

type Shared = Pick<
  ServiceContext,
  "campus" | "campuses" | "dc" | "log" | "tickets" | "snapshots" | "blocks"
>;

/** What one campus of the small platform runs, all in this process, but over real connections. */
class SmallProcess {
  readonly #shared: Shared;
  readonly #dir: string;
  readonly #addresses: (service: string) => readonly ServiceAddress[];
  readonly #lifecycle = new Lifecycle(silentLogger());
  readonly client: Client;
  readonly logic: Server;
  readonly access: Server;
  #stopped = false;

  constructor(
    shared: Shared,
    dir: string,
    addresses: (service: string) => readonly ServiceAddress[],
  ) {
    this.#shared = shared;
    this.#dir = dir;
    this.#addresses = addresses;
    const identity = { process: `${shared.campus}/test`, campus: shared.campus };
    this.client = new Client(identity, shared.blocks);
    this.logic = new Server(identity, silentLogger());
    this.access = new Server(identity, silentLogger());
  }

  start(service: string, start: StartService, options: unknown): Promise<void> {
    return start({
      ...this.#shared,
      service,
      options,
      process: `${this.#shared.campus}/${service}`,
      dataDir: join(this.#dir, service),
      server: service === "access" ? this.access : this.logic,
      lifecycle: this.#lifecycle,
      shards: new Shards(),
      callee: (name) => this.client.callee(name, this.#addresses(name), { caller: service }),
    });
  }

  async listen(ports: Ports): Promise<void> {
    await this.logic.listen({ host: HOST, port: ports.logic });
    await this.access.listen({ host: HOST, port: ports.access });
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await this.#lifecycle.stop();
    await Promise.all([this.logic.stop(), this.access.stop()]);
    this.client.stop();
  }
}

/** Campuses must know each other's ports before any of them listens. */
async function freePorts(): Promise<Ports> {
  const [logic, access, http] = [findFreePort(HOST), findFreePort(HOST), findFreePort(HOST)];
  return { logic: await logic, access: await access, http: await http };
}
