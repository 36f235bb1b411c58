/** What is to be remembered of a cluster, read through the API server as the person at the keyboard. */
import type { DataCenterSpec } from "../../operator/api/data-center.ts";
import { ApiClient, ApiError } from "../../operator/kube/api-client.ts";
import { pathOf } from "../../operator/kube/api-paths.ts";
import { connectionByKubeconfig } from "../../operator/kube/kubeconfig.ts";
import type { KubeObject } from "../../operator/kube/object.ts";
import { type CommandCall, textOption } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import type { SavedCluster } from "./saved.ts";

export interface ClusterChoice {
  readonly context: string;
  readonly namespace: string | undefined;
  readonly dataCenter: string | undefined;
}

const TIMEOUT_MS = 5_000;

export interface ApiServer {
  readonly client: ApiClient;
  readonly namespace: string;
}

/** Runs `work` with the API server that --context names, as the person at the keyboard. */
export async function withApiServer<T>(
  call: CommandCall,
  work: (server: ApiServer, dataCenter: string) => Promise<T>,
): Promise<T> {
  const choice = choiceOf(call);
  const server = await openApiServer(choice);
  try {
    const { client, namespace } = server;
    return await work(server, await findDataCenter(client, namespace, choice.dataCenter));
  } finally {
    server.client.stop();
  }
}

/** Only for a call with a context. */
export function choiceOf(call: CommandCall): ClusterChoice {
  const [namespace, dataCenter] = ["namespace", "dataCenter"].map((name) => textOption(call, name));
  return { context: call.context!, namespace, dataCenter };
}

/** A client of the API server that the context names, and the namespace meant. */
async function openApiServer(choice: ClusterChoice): Promise<ApiServer> {
  try {
    const { connection, namespace } = await connectionByKubeconfig({ context: choice.context });
    return { client: new ApiClient(connection), namespace: choice.namespace ?? namespace };
  } catch (error) {
    throw new Failure(EXIT.usage, (error as Error).message);
  }
}

export async function readCluster(choice: ClusterChoice): Promise<SavedCluster> {
  const { client, namespace } = await openApiServer(choice);
  try {
    const name = await findDataCenter(client, namespace, choice.dataCenter);
    const { spec, status } = await read(client, pathOf("DataCenter", namespace, name));
    const { admin = [], clients = [] } = (status ?? {}) as Partial<SavedCluster>;
    if (admin.length === 0) {
      const where = `DataCenter ${name} in namespace ${namespace}`;
      throw new Failure(EXIT.unreachable, `${where} has no admin addresses yet; try again soon`);
    }
    const { data } = (await read(
      client,
      pathOf("Secret", namespace, `${name}-tls`),
    )) as unknown as {
      data: Record<string, string>;
    };
    const text = (key: string) => Buffer.from(data[key] ?? "", "base64").toString("utf8");
    const tls = { ca: text("ca.crt"), cert: text("cli.crt"), key: text("cli.key") };
    const { context } = choice;
    const clientsTls = (spec as Partial<DataCenterSpec>).clients?.tls !== undefined;
    const addresses = { admin, clients, clientsTls };
    return { context, namespace, dataCenter: name, ...addresses, tls, savedAtMs: Date.now() };
  } finally {
    client.stop();
  }
}

async function findDataCenter(
  client: ApiClient,
  namespace: string,
  given: string | undefined,
): Promise<string> {
  if (given !== undefined) return given;
  const path = pathOf("DataCenter", namespace);
  const { items } = (await read(client, path)) as unknown as { items: KubeObject[] };
  const names = items.map(({ metadata }) => metadata.name);
  if (names.length === 1) return names[0]!;
  const there =
    names.length === 0
      ? `there is no DataCenter in namespace ${namespace}: name another with --namespace`
      : `there are several DataCenters (${names.join(", ")}): name one with --data-center`;
  throw new Failure(EXIT.usage, there);
}

async function read(client: ApiClient, path: string): Promise<KubeObject> {
  try {
    return await client.request({ method: "GET", path, timeoutMs: TIMEOUT_MS });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const code = error.status === 0 ? EXIT.unreachable : EXIT.failed;
    throw new Failure(code, `the API server: ${error.message}`);
  }
}
