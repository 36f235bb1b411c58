/** A platform in a cluster, as the command line reaches it: through what is remembered of it. */
import { Process, type StatusReply } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import type { Described } from "../../services/admin/preamble-client.ts";
import { KV_GROUPS, type ServiceName } from "../../services/platform/services.ts";
import { type Callee, Client } from "../../services/svrkit/client.ts";
import type { Method } from "../../services/svrkit/method.ts";
import { dialSocket } from "../../services/svrkit/transport/tcp.ts";
import { type CommandCall, textOption } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { askEach, type Reach, type ReachedPod, type ReachedProcess } from "../reach.ts";
import { AdminDoors } from "./admin-doors.ts";
import { choiceOf, readCluster } from "./from-api-server.ts";
import { podsBehind } from "./pods.ts";
import { readSaved, type SavedCluster, writeSaved } from "./saved.ts";

const CONNECT_MS = 1_500;
const DESCRIBE_MS = 4_000;
/** Addresses and certificates that are older are read again when the API server answers. */
const FRESH_MS = 24 * 3_600_000;

/** What is remembered of the cluster that --context names; at the first use it is read and kept. */
async function savedCluster(call: CommandCall): Promise<SavedCluster> {
  const saved = readSaved(call.dataDir);
  const dataCenter = textOption(call, "dataCenter");
  const namespace = textOption(call, "namespace");
  const isMeant =
    saved !== undefined &&
    (dataCenter === undefined || dataCenter === saved.dataCenter) &&
    (namespace === undefined || namespace === saved.namespace);
  if (isMeant && Date.now() - saved.savedAtMs < FRESH_MS) return saved;
  try {
    return await readAndSave(call);
  } catch (error) {
    if (isMeant) return saved; // it may be enough, and the API server may be what is broken
    throw error;
  }
}

/**
 * The same with clients' addresses of which one takes connections; when none does they are read again: a
 * platform that was installed anew is at others.
 */
export async function clientsOf(call: CommandCall): Promise<ClientDoors> {
  const saved = await savedCluster(call);
  if (await anyConnects(saved.clients.map(({ address }) => address))) return saved;
  return readAndSave(call).catch(() => saved);
}

type ClientDoors = Pick<SavedCluster, "clients" | "clientsTls">;

function anyConnects(addresses: readonly string[]): Promise<boolean> {
  const connects = addresses.map(async (address) => {
    const at = address.lastIndexOf(":");
    const endpoint = { host: address.slice(0, at), port: Number(address.slice(at + 1)) };
    (await dialSocket(endpoint, CONNECT_MS, { plaintext: true })).destroy();
    return true;
  });
  return Promise.any(connects).catch(() => false);
}

async function readAndSave(call: CommandCall): Promise<SavedCluster> {
  const read = await readCluster(choiceOf(call));
  writeSaved(call.dataDir, read);
  return read;
}

const WHO = { process: "cli", campus: "" };

export class ClusterReach implements Reach {
  readonly dc: number;
  readonly campuses: readonly string[];
  readonly kvGroups: readonly number[];
  readonly processes: readonly ReachedProcess[];
  readonly #doors: AdminDoors;
  readonly #client = new Client(WHO);

  private constructor(doors: AdminDoors, { dc, campuses, doors: groups }: Described) {
    this.#doors = doors;
    this.dc = dc;
    this.campuses = campuses;
    const services = new Set(groups.flat());
    this.kvGroups = KV_GROUPS.flatMap((group, i) => (services.has(group) ? [i + 1] : []));
    this.processes = campuses.flatMap((campus) =>
      groups.map((inside) => ({ name: `${campus}/${inside[0]}`, campus, services: inside })),
    );
  }

  /** Fails when no admin door answers, also after what is remembered was read anew. */
  static async open(call: CommandCall): Promise<ClusterReach> {
    const saved = await savedCluster(call);
    const doors = new AdminDoors(saved);
    try {
      return new ClusterReach(doors, await doors.describe(DESCRIBE_MS));
    } catch (error) {
      const anew = await readAndSave(call).catch(() => undefined);
      if (anew === undefined || JSON.stringify(anew.admin) === JSON.stringify(saved.admin))
        throw unreachable(saved, error);
      const others = new AdminDoors(anew);
      return new ClusterReach(others, await others.describe(DESCRIBE_MS));
    }
  }

  async pods(): Promise<readonly ReachedPod[]> {
    const connectTo = ({ services, campus }: ReachedProcess) => {
      const client = new Client(WHO);
      const callee = this.#calleeBy(client, services[0] as ServiceName, [campus]);
      const ask = (timeoutMs: number) =>
        callee.call(Process.status, {}, { timeoutMs }).catch(() => undefined);
      return { ask, stop: () => client.stop() };
    };
    const found = this.processes.map((process) => podsBehind(process, () => connectTo(process)));
    return (await Promise.all(found)).flat();
  }

  callee(service: ServiceName, campus?: string): Callee {
    const campuses = campus === undefined ? this.campuses : [campus];
    return this.#calleeBy(this.#client, service, campuses);
  }

  #calleeBy(client: Client, service: ServiceName, campuses: readonly string[]): Callee {
    const addresses = campuses.map((name) => ({
      campus: name,
      label: `${service} in campus ${name}`,
      dial: () => this.#doors.dial(service, name),
    }));
    return client.calleeFrom(service, addresses, { caller: "cli" });
  }

  statuses(processes: ReadonlySet<string>): Promise<Map<string, StatusReply>> {
    return this.ask(Process.status, {}, processes);
  }

  ask<I, O>(
    method: Method<I, O>,
    request: I,
    processes: ReadonlySet<string>,
  ): Promise<Map<string, O>> {
    const asked = this.processes.filter(({ name }) => processes.has(name));
    const calleeOf = ({ campus, services }: ReachedProcess) =>
      this.callee(services[0] as ServiceName, campus);
    return askEach(asked, calleeOf, { method, request });
  }

  stop(): void {
    this.#client.stop();
  }
}

function unreachable({ admin }: SavedCluster, error: unknown): Failure {
  const addresses = admin.map(({ campus, address }) => `${campus} ${address}`).join(", ");
  return new Failure(
    EXIT.unreachable,
    `no admin door answers (${addresses}): ${(error as Error).message}`,
  );
}
