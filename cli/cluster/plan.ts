/**
 * What the operator would do now: its own eyes and its own plan, run here, and nothing carried out. The
 * store's word comes through the admin doors; without them the plan says what is not known.
 */

import { Events } from "../../operator/kube/events.ts";
import { Cluster } from "../../operator/observe/cluster.ts";
import { readTable, type StoreFacts, type StoreLink } from "../../operator/observe/store-link.ts";
import type { Plan } from "../../operator/plan/data-center.ts";
import { ADDRESSES_HEARD_MS, type ReplicaWord, wordKey } from "../../operator/plan/observed.ts";
import { DataCenterReconciler } from "../../operator/reconcilers/data-center.ts";
import { ControlTable } from "../../services/control/client.ts";
import { SlotsClient } from "../../services/control/slots-client.ts";
import { KV_GROUPS } from "../../services/platform/services.ts";
import { EXIT, Failure } from "../failure.ts";
import type { Reach } from "../reach.ts";
import type { ApiServer } from "./from-api-server.ts";

const SYNC_MS = 20_000;
/** As long as the operator waits between two campuses. */
const SETTLE_MS = 3_000;

/** `reached`: undefined when no admin door answers. */
export async function readPlan(
  { client, namespace }: ApiServer,
  dataCenter: string,
  reached: Reach | undefined,
): Promise<Plan> {
  let trouble: Error | undefined;
  const cluster = new Cluster({
    client,
    namespace,
    onChange: () => {},
    onTrouble: (_, error) => {
      trouble = error;
    },
  });
  const giveUp = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const why = trouble?.message ?? "it does not answer";
    giveUp.reject(new Failure(EXIT.unreachable, `the API server: ${why}`));
  }, SYNC_MS);
  cluster.start();
  try {
    await Promise.race([cluster.synced(), giveUp.promise]);
    const pods = [...cluster.inside(dataCenter).pods.values()];
    const facts = await storeFacts(reached, (place) => {
      return pods.find((pod) => `${pod.workload}/${pod.campus}` === place)?.uid ?? "";
    });
    const reconciler = new DataCenterReconciler({
      cluster,
      executor: { client, namespace, store: linkOf(facts), leftMs: () => 0, done: () => {} },
      events: new Events(client, "tricampus", () => {}),
      image: imageOf(cluster, dataCenter),
      settleMs: SETTLE_MS,
      addressesHeardMs: ADDRESSES_HEARD_MS,
      now: Date.now,
      log: () => {},
    });
    const planned = await reconciler.plan(dataCenter);
    if (planned !== undefined) return planned.plan;
    throw new Failure(EXIT.failed, `there is no DataCenter ${dataCenter}`);
  } finally {
    clearTimeout(timer);
    await cluster.stop();
  }
}

/** The operator's own image is what it wrote down for data centres that name none. */
function imageOf(cluster: Cluster, dataCenter: string): string {
  return cluster.dataCenters.get(dataCenter)?.status.image ?? "unknown";
}

/** `podOf`: the uid of the pod at "kvsvr-1/a". */
async function storeFacts(
  reached: Reach | undefined,
  podOf: (place: string) => string,
): Promise<StoreFacts> {
  const words = new Map<string, ReplicaWord>();
  if (reached === undefined) return { words, table: undefined, busyPercent: new Map() };
  const statuses = await reached.statuses(new Set(reached.processes.map(({ name }) => name)));
  for (const { name, campus, services } of reached.processes) {
    const group = KV_GROUPS.findIndex((service) => services.includes(service)) + 1;
    if (group === 0) continue;
    const key = wordKey(group, campus);
    words.set(key, { unready: statuses.get(name)?.unready, pod: podOf(key) });
  }
  const kvsvr = reached.callee("kvsvr");
  const tables = { control: new ControlTable(kvsvr), slots: new SlotsClient(kvsvr) };
  const table = await readTable(tables).catch(() => undefined);
  return { words, table, busyPercent: new Map() };
}

function linkOf(facts: StoreFacts): StoreLink {
  return {
    follow: () => {},
    forget: () => {},
    facts: () => facts,
    tables: () => undefined,
    stop: () => {},
  };
}
