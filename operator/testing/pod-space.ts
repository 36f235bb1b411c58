/** Pods that no node runs, and budgets over them, on an API server: they are as ready as they are said to be. */
import type { ApiClient } from "../kube/api-client.ts";
import { apiVersionOf, type KindName, pathOf } from "../kube/api-paths.ts";
import type { KubeObject } from "../kube/object.ts";

export class PodSpace {
  readonly #client: ApiClient;
  readonly #namespace: string;

  constructor(client: ApiClient, namespace: string) {
    this.#client = client;
    this.#namespace = namespace;
  }

  #at(kind: KindName, name?: string): string {
    return pathOf(kind, this.#namespace, name);
  }

  /** Returns its uid. */
  async makePod(name: string, run: string, isReady: boolean | "pending"): Promise<string> {
    const body = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name, labels: { run } },
      spec: {
        schedulingGates: [{ name: "tricampus.dev/never" }],
        containers: [{ name: "nothing", image: "nothing" }],
      },
    };
    const path = this.#at("Pod");
    const made = await this.#client.request({ method: "POST", path, body });
    if (isReady !== "pending") await this.sayReady(name, isReady);
    return made.metadata.uid!;
  }

  async sayReady(name: string, isReady: boolean): Promise<void> {
    const conditions = [{ type: "Ready", status: isReady ? "True" : "False" }];
    await this.#client.carryOut({
      method: "PATCH",
      path: `${this.#at("Pod", name)}/status`,
      contentType: "application/merge-patch+json",
      body: { status: { phase: "Running", conditions } },
    });
  }

  async makeBudget(name: string, run: string): Promise<void> {
    const kind = "PodDisruptionBudget";
    const spec = { minAvailable: 2, selector: { matchLabels: { run } } };
    await this.#client.carryOut({
      method: "PATCH",
      path: `${this.#at(kind, name)}?fieldManager=test&force=true`,
      contentType: "application/apply-patch+yaml",
      body: { apiVersion: apiVersionOf(kind), kind, metadata: { name }, spec },
    });
  }

  /** "3 healthy, 1 may go" */
  async counted(budget: string): Promise<string> {
    const path = this.#at("PodDisruptionBudget", budget);
    const { status = {} } = await this.#client.request<KubeObject>({ method: "GET", path });
    const { currentHealthy, disruptionsAllowed } = status as Record<string, number>;
    return `${currentHealthy} healthy, ${disruptionsAllowed} may go`;
  }

  evict(name: string, uid: string): Promise<void> {
    return this.#client.carryOut({
      method: "POST",
      path: `${this.#at("Pod", name)}/eviction`,
      body: {
        apiVersion: "policy/v1",
        kind: "Eviction",
        metadata: { name, namespace: this.#namespace },
        deleteOptions: { preconditions: { uid } },
      },
      isPaced: true,
    });
  }

  async isThere(name: string): Promise<boolean> {
    const { items } = await this.#client.request<{ items: KubeObject[] }>({
      method: "GET",
      path: this.#at("Pod"),
    });
    return items.some(({ metadata }) => metadata.name === name);
  }
}
