/** Service calls that processes in the cluster have answered, by their own count. */
import { ClusterReach } from "../../../cli/cluster/reach.ts";
import { contextDir } from "../../../cli/cluster/saved.ts";
import { routedCalls } from "../../../cli/routed-calls.ts";
import { cluster, NAMESPACE, tricampusEnv } from "./cluster.ts";

export async function openReach(): Promise<ClusterReach> {
  const env = tricampusEnv();
  Object.assign(process.env, env);
  return ClusterReach.open({
    arguments: [],
    options: { namespace: NAMESPACE },
    json: false,
    dataDir: contextDir(env, cluster.context),
    context: cluster.context,
  });
}

/** Calls that were routed to a campus since its processes started. */
export async function routedCallsIn(reach: ClusterReach, campus: string): Promise<number> {
  const names = reach.processes.flatMap((one) => (one.campus === campus ? [one.name] : []));
  const statuses = await reach.statuses(new Set(names));
  if (statuses.size < names.length) throw new Error(`campus ${campus} does not answer`);
  let sum = 0;
  for (const status of statuses.values())
    for (const count of routedCalls(status).values()) sum += count;
  return sum;
}
