/** From a data folder to what a command talks to. */
import { Process, type StatusReply } from "../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import {
  type Address,
  addressesIn,
  clientEndpoints,
  type PlannedProcess,
  planLayout,
} from "../services/platform/layout.ts";
import { Platform } from "../services/platform/platform.ts";
import { cliTlsFiles } from "../services/platform/secrets.ts";
import { KV_GROUPS, type ServiceName } from "../services/platform/services.ts";
import { type Callee, Client } from "../services/svrkit/client.ts";
import { silentLogger } from "../services/svrkit/log.ts";
import type { Method } from "../services/svrkit/method.ts";
import { Credentials } from "../services/svrkit/tls/credentials.ts";
import { ClusterReach, clientsOf } from "./cluster/reach.ts";
import { type CommandCall, textOption } from "./command.ts";
import { EXIT, Failure } from "./failure.ts";
import { askEach, type Reach, type ReachedPod, type ReachedProcess } from "./reach.ts";

/** The platform that was started in the data folder, whether or not it runs now. */
export function requirePlatform(dataDir: string): Platform {
  const platform = Platform.of(dataDir);
  if (platform !== undefined) return platform;
  throw new Failure(
    EXIT.unreachable,
    `no platform was started in ${dataDir}: run \`tricampus up\`, or name another with --data-dir`,
  );
}

export async function requireRunning(dataDir: string): Promise<Platform> {
  const platform = requirePlatform(dataDir);
  const reports = await platform.reports();
  if (reports.some((report) => report.state !== "down")) return platform;
  throw new Failure(EXIT.unreachable, `the platform in ${dataDir} is down: run \`tricampus up\``);
}

/** What the command is about: the platform of this machine, or with --context that of a cluster. */
export async function reach(call: CommandCall): Promise<Reach> {
  if (call.context !== undefined) return ClusterReach.open(call);
  return new Inspector(await requireRunning(call.dataDir));
}

/** Where clients connect: what --endpoints says, else the running platform's access layers. */
export async function endpointsOf(call: CommandCall): Promise<Endpoint[]> {
  const given = textOption(call, "endpoints");
  if (given !== undefined) return parseEndpoints(given);
  if (call.context !== undefined) {
    const { clients, clientsTls } = await clientsOf(call);
    const scheme = clientsTls ? "wss" : "ws";
    return clients.map(({ campus, address }) => ({ campus, url: `${scheme}://${address}` }));
  }
  const { config } = await requireRunning(call.dataDir);
  return clientEndpoints(config).map(({ campus, host, port }) => ({
    campus,
    url: `ws://${host}:${port}`,
  }));
}

export interface Endpoint {
  readonly campus: string;
  readonly url: string;
}

/** "a=ws://host:7100,b=ws://host:7200" */
function parseEndpoints(text: string): Endpoint[] {
  return text.split(",").map((part) => {
    const [campus, url] = part.split(/=(.*)/s);
    if (campus !== undefined && url !== undefined && /^wss?:\/\/./.test(url))
      return { campus, url };
    throw new Failure(EXIT.usage, `--endpoints: "${part}" is not like a=ws://127.0.0.1:7100`);
  });
}

/** svrkit calls from outside into the platform, for status and the first test. */
export class Inspector implements Reach {
  readonly dc: number;
  readonly campuses: readonly string[];
  readonly kvGroups: readonly number[];
  readonly processes: readonly ReachedProcess[];
  readonly #platform: Platform;
  readonly #client: Client;

  constructor(platform: Platform) {
    this.#platform = platform;
    this.dc = platform.config.dc;
    this.campuses = platform.config.campuses;
    this.kvGroups = KV_GROUPS.slice(0, platform.config.kvGroups).map((_, i) => i + 1);
    this.processes = planLayout(platform.config).processes;
    const { tls, dataDir, plaintext } = platform.config;
    const credentials = tls ? new Credentials(cliTlsFiles(dataDir), silentLogger()) : undefined;
    this.#client = new Client({ process: "cli", campus: "" }, undefined, {
      credentials,
      plaintext,
    });
  }

  /** On one machine each process is one. */
  async pods(): Promise<readonly ReachedPod[]> {
    return this.processes.map((process) => {
      const callee = this.callee(process.services[0] as ServiceName, process.campus);
      const ask = (timeoutMs: number) =>
        callee.call(Process.status, {}, { timeoutMs }).catch(() => undefined);
      return { ...process, ask, stop: () => {} };
    });
  }

  callee(service: ServiceName, campus?: string): Callee {
    const all = addressesIn(planLayout(this.#platform.config), service);
    const addresses = campus === undefined ? all : all.filter((a) => a.campus === campus);
    return this.#callee(service, addresses);
  }

  statuses(processes: ReadonlySet<string>): Promise<Map<string, StatusReply>> {
    return this.ask(Process.status, {}, processes);
  }

  ask<I, O>(
    method: Method<I, O>,
    request: I,
    processes: ReadonlySet<string>,
  ): Promise<Map<string, O>> {
    const { host } = this.#platform.config;
    const all = planLayout(this.#platform.config).processes;
    const calleeOf = ({ campus, doors }: PlannedProcess) => {
      const { port, services } = doors[0]!;
      return this.#callee(services[0]!, [{ campus, host, port }]);
    };
    const asked = all.filter(({ name }) => processes.has(name));
    return askEach(asked, calleeOf, { method, request });
  }

  stop(): void {
    this.#client.stop();
  }

  #callee(name: string, addresses: readonly Address[]): Callee {
    return this.#client.callee(name, addresses, { caller: "cli" });
  }
}
