/**
 * Three campuses in one process, for tests: the real services on real replicas of the store, joined
 * by in-memory wires, with the real router. The queue and the access layer are stand-ins.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Push, type PushRequest } from "../../../protos/gen/tricampus/access/v1/push_codec.ts";
import { start as startAccountData } from "../../data/account/main.ts";
import { start as startContactData } from "../../data/contact/main.ts";
import { start as startGroupData } from "../../data/group/main.ts";
import { start as startInboxData } from "../../data/inbox/main.ts";
import { start as startMessageData } from "../../data/message/main.ts";
import { BOOTSTRAP_FILE } from "../../kvsvr/identity.ts";
import { start as startKvsvr } from "../../kvsvr/main.ts";
import { start as startRouter } from "../../router/main.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { type Callee, Client, type ServiceAddress } from "../../svrkit/client.ts";
import type { StartService } from "../../svrkit/context.ts";
import { Blocks } from "../../svrkit/failover/blocks.ts";
import type { PeerAddress } from "../../svrkit/failover/peer.ts";
import { Shards } from "../../svrkit/failover/shards.ts";
import { Lifecycle } from "../../svrkit/lifecycle.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { Server } from "../../svrkit/server.ts";
import { newTicketKeys, TicketSigner } from "../../svrkit/ticket/sign.ts";
import { SnapshotSealer } from "../../svrkit/ticket/snapshot.ts";
import { TicketVerifier } from "../../svrkit/ticket/verify.ts";
import { memoryWirePair } from "../../svrkit/transport/memory.ts";
import { start as startContact } from "../contact/main.ts";
import { start as startConversation } from "../conversation/main.ts";
import { start as startFanout } from "../fanout/main.ts";
import { start as startGroup } from "../group/main.ts";
import { start as startSync } from "../sync/main.ts";
import { start as startText } from "../text/main.ts";
import { QueueInMemory } from "./queue-in-memory.ts";

const CAMPUSES = ["a", "b", "c"];
const DC = 7;
const HOUR_MS = 3_600_000;

const services: Record<string, StartService> = {
  kvsvr: startKvsvr,
  router: startRouter,
  "account-data": startAccountData,
  "inbox-data": startInboxData,
  "message-data": startMessageData,
  "group-data": startGroupData,
  "contact-data": startContactData,
  contact: startContact,
  conversation: startConversation,
  text: startText,
  group: startGroup,
  sync: startSync,
};

export interface Campuses {
  readonly queue: QueueInMemory;
  readonly pushes: PushRequest[];
  /** A service as seen by another one, `caller`, in a campus. */
  callee(service: string, caller?: string, campus?: string): Callee;
  ticket(userId: string, device?: string, expiresAtMs?: number): CallOptions & { ticket: Buffer };
  readonly snapshots: SnapshotSealer;
  /** PEM; the key's name is "k1". */
  readonly ticketPublicKey: string;
  /** Opens a TCP door a campus, for processes of their own. */
  listen(): Promise<ServiceAddress[]>;
  /** Stops the fan-out worker; `startFanout` starts a new one that remembers nothing. */
  stopFanout(): Promise<void>;
  startFanout(options?: unknown): Promise<void>;
  close(): Promise<void>;
}

interface Campus {
  readonly name: string;
  readonly server: Server;
  readonly client: Client;
  readonly lifecycle: Lifecycle;
}

/** `options`: by service, as in the platform's configuration. */
export async function startCampuses(options: Record<string, unknown> = {}): Promise<Campuses> {
  const root = mkdtempSync(join(tmpdir(), "tricampus-campuses-"));
  const log = silentLogger();
  const keys = newTicketKeys();
  const signer = new TicketSigner("k1", keys.privateKey);
  const tickets = new TicketVerifier({ k1: keys.publicKey });
  const snapshots = new SnapshotSealer(Buffer.alloc(32, 1));
  const campuses = CAMPUSES.map((name): Campus => {
    const identity = { process: `${name}/all`, campus: name };
    const server = new Server(identity, log);
    return { name, server, client: new Client(identity), lifecycle: new Lifecycle(log) };
  });
  const addresses = campuses.map(addressOf);
  const calleeOf = ({ client, server }: Campus, service: string, caller: string) =>
    client.calleeFrom(service, addresses, { caller, local: server });
  const start = async (campus: Campus, service: string, run: StartService, given: unknown) => {
    const dataDir = join(root, campus.name, service);
    mkdirSync(dataDir, { recursive: true });
    if (service === "kvsvr") writeFileSync(join(dataDir, BOOTSTRAP_FILE), "");
    const { server, lifecycle } = campus;
    await run({
      ...{ service, campus: campus.name, campuses: CAMPUSES, dc: DC, server, lifecycle, log },
      ...{ process: `${campus.name}/all`, dataDir, tickets, snapshots, options: given },
      blocks: new Blocks(),
      shards: new Shards(),
      callee: (name) => calleeOf(campus, name, service),
    });
  };
  const queue = new QueueInMemory();
  const pushes: PushRequest[] = [];
  for (const campus of campuses) {
    queue.addTo(campus.server);
    campus.server.add(Push.push, (request) => {
      pushes.push(request);
      return { gone: [] };
    });
    for (const [name, run] of Object.entries(services))
      await start(campus, name, run, options[name]);
  }
  let fanout = new Lifecycle(log);
  return {
    queue,
    pushes,
    snapshots,
    ticketPublicKey: keys.publicKey,
    listen: () => Promise.all(campuses.map(listenOn)),
    callee: (service, caller = "test", campus = "a") =>
      calleeOf(campuses[CAMPUSES.indexOf(campus)]!, service, caller),
    ticket(userId, device = "phone", expiresAtMs = Date.now() + HOUR_MS) {
      return { ticket: signer.sign({ userId, device, issuedAtMs: Date.now(), expiresAtMs }) };
    },
    stopFanout: () => fanout.stop(),
    async startFanout(given) {
      fanout = new Lifecycle(log);
      await start({ ...campuses[0]!, lifecycle: fanout }, "fanout", startFanout, given);
    },
    async close() {
      await fanout.stop();
      for (const { lifecycle, server, client } of campuses) {
        await lifecycle.stop();
        client.stop();
        await server.stop();
      }
      rmSync(root, { recursive: true, force: true });
    },
  };
}

async function listenOn({ name, server }: Campus): Promise<ServiceAddress> {
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  return { campus: name, host: "127.0.0.1", port };
}

function addressOf({ name, server }: Campus): PeerAddress {
  return {
    campus: name,
    label: `campus ${name} in memory`,
    async dial() {
      const [near, far] = memoryWirePair();
      server.accept(far);
      return near;
    },
  };
}
