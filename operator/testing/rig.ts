/** An operator, or several, before a simulated cluster and store: what tests of the whole act on. */

import { ApiClient } from "../kube/api-client.ts";
import { apiVersionOf, type KindName, pathOf } from "../kube/api-paths.ts";
import { plainConnection } from "../kube/connection.ts";
import type { KubeObject } from "../kube/object.ts";
import { Operator, type OperatorOptions } from "../operator.ts";
import { describeAction } from "../plan/actions.ts";
import { SimulatedCluster } from "./api-double/controllers.ts";
import { isReady, PODS } from "./api-double/disruptions.ts";
import { ApiDouble } from "./api-double/server.ts";
import { sampleCampus, sampleDataCenter, sampleGroup, ZONES } from "./samples.ts";
import { SimulatedStore } from "./simulated-store.ts";

const NAMESPACE = "test";
export const BROKEN_IMAGE = "tricampus:broken";
const SAY_NOTHING = { debug() {}, info() {}, warn() {}, error() {} };

export class Rig {
  readonly double = new ApiDouble();
  readonly cluster: SimulatedCluster;
  readonly store: SimulatedStore;
  /** What operators did, in order. */
  readonly acts: string[] = [];
  readonly #operators = new Set<Operator>();
  #base = "";
  #started = 0;

  private constructor(nodes: readonly { name: string; zone: string }[], startMs: number) {
    this.cluster = new SimulatedCluster(this.double, {
      ...{ nodes, startMs },
      brokenImage: BROKEN_IMAGE,
    });
    this.store = new SimulatedStore(this.cluster);
  }

  /** `nodes`: one a zone unless said otherwise. `startMs`: from a pod's creation until it is ready. */
  static async open({ nodes = nodesOf(ZONES), startMs = 5 } = {}): Promise<Rig> {
    const rig = new Rig(nodes, startMs);
    rig.#base = await rig.double.listen();
    return rig;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#operators].map((operator) => operator.stop()));
    this.cluster.stop();
    await this.double.close();
  }

  async startOperator(options: Partial<OperatorOptions> = {}): Promise<Operator> {
    this.#started += 1;
    const operator = new Operator({
      client: this.newClient(),
      namespace: NAMESPACE,
      identity: `operator-${this.#started}`,
      image: "tricampus:1",
      newStoreLink: (onChange) => this.store.link(onChange),
      log: SAY_NOTHING,
      settleMs: 10,
      addressesHeardMs: 50,
      gatherMs: 3,
      election: { leaseMs: 4_000, renewMs: 100, marginMs: 500 },
      onAction: (_, action) => this.acts.push(describeAction(action)),
      ...options,
    });
    this.#operators.add(operator);
    await operator.start();
    return operator;
  }

  /**
   * One that dies at its n-th write: the write is carried out or not, the answer is lost, and nothing is
   * heard of it again. Resolves to what says whether it is dead.
   */
  async startMortal(diesAt: number, isCarriedOut: boolean): Promise<() => boolean> {
    const client = this.newClient();
    let writes = 0;
    let isDead = false;
    client.onRequest = ({ method, path }) => {
      if (isDead) throw new Error("dead");
      if (method === "GET" || path.includes("/leases")) return;
      writes += 1;
      if (writes < diesAt) return;
      isDead = true;
      if (!isCarriedOut) throw new Error("dead");
    };
    // Its successor waits so long.
    const election = { leaseMs: 300, renewMs: 40, marginMs: 80 };
    const operator = await this.startOperator({ client, election });
    return () => {
      if (isDead) this.#operators.delete(operator);
      if (isDead) void operator.cluster.stop();
      return isDead;
    };
  }

  async stopOperator(operator: Operator): Promise<void> {
    this.#operators.delete(operator);
    await operator.stop();
  }

  newClient(): ApiClient {
    return new ApiClient(plainConnection(this.#base));
  }

  /** What a person writes, by kubectl or the chart. */
  write(kind: KindName, name: string, spec: object, labels: Record<string, string> = {}): void {
    const metadata = { name, labels };
    const object = { apiVersion: apiVersionOf(kind), kind, metadata, spec };
    const place = this.#place(kind);
    this.double.objects.apply(place, object as KubeObject, { manager: "person", force: true });
  }

  remove(kind: KindName, name: string): void {
    this.double.objects.delete(this.#place(kind), name);
  }

  /** A data centre "main" with campuses a, b and c and one group. */
  install(changes: object = {}): void {
    this.write("DataCenter", "main", sampleDataCenter(changes));
    for (const campus of ["a", "b", "c"] as const)
      this.write("Campus", campus, sampleCampus(campus));
    this.write("KVGroup", "main-1", sampleGroup());
  }

  get(kind: KindName, name: string): KubeObject | undefined {
    return this.double.objects.get(this.#place(kind), name);
  }

  names(kind: KindName): string[] {
    const all = this.double.objects.all(this.#place(kind).resource);
    return all.map(({ metadata }) => metadata.name).toSorted();
  }

  status<T = Record<string, never>>(kind: KindName, name: string): T {
    return (this.get(kind, name)?.status ?? {}) as T;
  }

  /** "True AllServe" */
  condition(kind: KindName, name: string, type: string): string {
    const { conditions = [] } = this.status<{
      conditions?: { type: string; status: string; reason: string }[];
    }>(kind, name);
    const found = conditions.find((condition) => condition.type === type);
    return found === undefined ? "" : `${found.status} ${found.reason}`;
  }

  message(kind: KindName, name: string, type: string): string {
    const { conditions = [] } = this.status<{ conditions?: { type: string; message: string }[] }>(
      kind,
      name,
    );
    return conditions.find((condition) => condition.type === type)?.message ?? "";
  }

  pods(workload?: string): KubeObject[] {
    const all = this.double.objects.all(PODS);
    return all.filter(
      ({ metadata }) =>
        workload === undefined || metadata.labels?.["tricampus.dev/workload"] === workload,
    );
  }

  get readyPods(): number {
    return this.pods().filter(isReady).length;
  }

  async until(what: string, holds: () => boolean, timeoutMs = 40_000): Promise<void> {
    const giveUpMs = performance.now() + timeoutMs;
    while (!holds()) {
      if (performance.now() > giveUpMs) {
        const acts = this.acts.slice(-8).join("\n  ");
        const dc = JSON.stringify(this.status("DataCenter", "main"));
        throw new Error(`not in time: ${what}\n  ${acts}\n  ${dc}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Everything is as it should be, and nobody writes any more. */
  async settled(): Promise<void> {
    await this.until(
      "ready",
      () => this.condition("DataCenter", "main", "Ready") === "True AllServe",
    );
    await this.until(
      "done",
      () => this.condition("DataCenter", "main", "Progressing") === "False Done",
    );
    await this.quiet();
  }

  async quiet(ms = 60): Promise<void> {
    for (let before = -1; before !== this.writesButLease(); ) {
      before = this.writesButLease();
      await new Promise((resolve) => setTimeout(resolve, ms));
    }
  }

  /** Requests that changed something, renewals of the Lease apart. */
  writesButLease(): number {
    return this.double.writes - this.double.writesTo("/apis/coordination.k8s.io/v1 leases");
  }

  #place(kind: KindName) {
    const path = pathOf(kind, undefined);
    const at = path.lastIndexOf("/");
    const namespace = kind === "Node" ? "" : NAMESPACE;
    return { resource: `${path.slice(0, at)} ${path.slice(at + 1)}`, namespace };
  }
}

function nodesOf(zones: Readonly<Record<string, string>>) {
  return Object.entries(zones).map(([campus, zone]) => ({ name: `node-${campus}`, zone }));
}
