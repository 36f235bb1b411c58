/**
 * A whole platform in one process, for tests of what its users see: every service of three campuses,
 * joined by in-memory wires, with real stores, real logs and real doors for clients.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Endpoint } from "../../../sdk/endpoints.ts";
import { RevocationFollower } from "../../data/account/revoked-client.ts";
import { KvClient } from "../../kvsvr/client.ts";
import { BOOTSTRAP_FILE } from "../../kvsvr/identity.ts";
import { LOG_BOOTSTRAP_FILE } from "../../queuelog/identity.ts";
import { type Callee, Client } from "../../svrkit/client.ts";
import type { ServiceContext } from "../../svrkit/context.ts";
import { Blocks } from "../../svrkit/failover/blocks.ts";
import type { PeerAddress } from "../../svrkit/failover/peer.ts";
import { Shards } from "../../svrkit/failover/shards.ts";
import { Lifecycle } from "../../svrkit/lifecycle.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { Server } from "../../svrkit/server.ts";
import { Revocations } from "../../svrkit/ticket/revocations.ts";
import { newTicketKeys, TicketSigner } from "../../svrkit/ticket/sign.ts";
import { SnapshotSealer } from "../../svrkit/ticket/snapshot.ts";
import { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { memoryWirePair } from "../../svrkit/transport/memory.ts";
import { findFreePort } from "../free-ports.ts";
import { loadService } from "../registry.ts";
import { SERVICES, type ServiceName } from "../services.ts";

const HOST = "127.0.0.1";
const CAMPUSES = ["a", "b", "c"];
const DC = 7;
const KEY_ID = "test";
/** Offers the same methods as another service, so it has a door of its own. */
const SECOND_DOOR = "queuelog-2";

export interface WholePlatform {
  /** One a campus; a client's first one is its first choice. */
  readonly endpoints: readonly Endpoint[];
  readonly signer: TicketSigner;
  readonly kv: KvClient;
  /** A service as seen by another one, `caller`, in a campus. */
  callee(service: ServiceName, caller?: string, campus?: string): Callee;
  stopCampus(campus: string): Promise<void>;
  stop(): Promise<void>;
}

interface Shared {
  readonly root: string;
  readonly tickets: TicketVerifier;
  readonly snapshots: SnapshotSealer;
  readonly blocks: Blocks;
}

/** `options`: by service, as in the platform's configuration. */
export async function startWholePlatform(
  options: Partial<Record<ServiceName, object>> = {},
): Promise<WholePlatform> {
  const root = mkdtempSync(join(tmpdir(), "tricampus-whole-"));
  const keys = newTicketKeys();
  const revocations = new Revocations();
  const privateKeyFile = join(root, "private.pem");
  writeFileSync(privateKeyFile, keys.privateKey);
  const shared = {
    root,
    tickets: new TicketVerifier({ [KEY_ID]: keys.publicKey }, { revocations }),
    snapshots: new SnapshotSealer(Buffer.alloc(32, 7)),
    blocks: new Blocks(),
  };
  const campuses = CAMPUSES.map((name) => new TestCampus(name, shared));
  for (const campus of campuses) campus.meet(campuses);
  const ports = await Promise.all(CAMPUSES.map(() => findFreePort(HOST)));
  const endpoints = CAMPUSES.map((campus, i) => ({ campus, url: `http://${HOST}:${ports[i]}` }));
  // A cheap hash: its cost is tested where it belongs.
  const cheap = { passwordMemoryKib: 64, passwordPasses: 1 };
  const account = { keyId: KEY_ID, privateKeyFile, ...cheap, ...options.account };
  for (const [i, campus] of campuses.entries()) {
    const access = { host: HOST, port: ports[i], leaveOverMs: 0, endpoints };
    await campus.start({ ...options, access: { ...access, ...options.access }, account });
  }
  const callee = (service: ServiceName, caller = "test", campus = "a") =>
    campuses[CAMPUSES.indexOf(campus)]!.callee(service, caller);
  const kv = new KvClient(callee("kvsvr"));
  const follower = new RevocationFollower(kv, revocations);
  follower.start();
  return {
    endpoints,
    signer: new TicketSigner(KEY_ID, keys.privateKey),
    kv,
    callee,
    stopCampus: (campus) => campuses[CAMPUSES.indexOf(campus)]!.stop(),
    async stop() {
      follower.stop();
      await Promise.all(campuses.map((campus) => campus.stop()));
      rmSync(root, { recursive: true, force: true });
    },
  };
}

class TestCampus {
  readonly #name: string;
  readonly #shared: Shared;
  readonly #log = silentLogger();
  readonly #lifecycle = new Lifecycle(this.#log);
  readonly #client: Client;
  readonly #door: Server;
  readonly #secondDoor: Server;
  #addresses: readonly PeerAddress[] = [];
  #secondAddresses: readonly PeerAddress[] = [];
  #stopped: Promise<void> | undefined;

  constructor(name: string, shared: Shared) {
    this.#name = name;
    this.#shared = shared;
    const identity = { process: `${name}/all`, campus: name };
    this.#client = new Client(identity, shared.blocks);
    this.#door = new Server(identity, this.#log);
    this.#secondDoor = new Server(identity, this.#log);
  }

  meet(all: readonly TestCampus[]): void {
    this.#addresses = all.map((campus) => addressOf(campus.#name, "first", campus.#door));
    this.#secondAddresses = all.map((campus) =>
      addressOf(campus.#name, "second", campus.#secondDoor),
    );
  }

  callee(service: ServiceName, caller: string): Callee {
    const isSecond = service === SECOND_DOOR;
    const addresses = isSecond ? this.#secondAddresses : this.#addresses;
    const local = isSecond ? this.#secondDoor : this.#door;
    return this.#client.calleeFrom(service, addresses, { caller, local });
  }

  async start(options: Partial<Record<ServiceName, object>>): Promise<void> {
    for (const service of SERVICES) {
      const dataDir = join(this.#shared.root, this.#name, service);
      mkdirSync(dataDir, { recursive: true });
      if (service === "kvsvr") writeFileSync(join(dataDir, BOOTSTRAP_FILE), "");
      if (service.startsWith("queuelog")) writeFileSync(join(dataDir, LOG_BOOTSTRAP_FILE), "");
      const run = await loadService(service);
      await run(this.#context(service, dataDir, options[service] ?? {}));
    }
  }

  #context(service: ServiceName, dataDir: string, options: object): ServiceContext {
    const { tickets, snapshots, blocks } = this.#shared;
    return {
      ...{ service, campus: this.#name, campuses: CAMPUSES, dc: DC, dataDir, options },
      ...{ tickets, snapshots, blocks, log: this.#log, lifecycle: this.#lifecycle },
      process: `${this.#name}/all`,
      server: service === SECOND_DOOR ? this.#secondDoor : this.#door,
      shards: new Shards(),
      callee: (name) => this.callee(name as ServiceName, service),
    };
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    await this.#lifecycle.stop();
    await Promise.all([this.#door.stop(), this.#secondDoor.stop()]);
    this.#client.stop();
  }
}

function addressOf(campus: string, door: string, server: Server): PeerAddress {
  return {
    campus,
    // Connections are shared by label.
    label: `campus ${campus} in memory, ${door} door`,
    async dial() {
      const [near, far] = memoryWirePair();
      server.accept(far);
      return near;
    },
  };
}
