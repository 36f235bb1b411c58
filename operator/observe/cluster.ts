/**
 * The cluster as the operator knows it: a copy of each kind it needs, sorted by data centre. Says which
 * data centre has changed; nothing is looked up in the API server while planning.
 */
import assert from "node:assert/strict";
import type { CampusSpec, CampusStatus } from "../api/campus.ts";
import type { DataCenterSpec, DataCenterStatus } from "../api/data-center.ts";
import type { KvGroupSpec, KvGroupStatus } from "../api/kv-group.ts";
import type { ApiClient } from "../kube/api-client.ts";
import { type KindName, pathOf } from "../kube/api-paths.ts";
import { AGE_MS_MAX, type Cached, ListWatch, type ListWatchOptions } from "../kube/list-watch.ts";
import type { KubeObject } from "../kube/object.ts";
import { MANAGED_BY } from "../manifests/site.ts";
import {
  type Child,
  childKey,
  type Node,
  OLD_MS,
  type Pod,
  type Resource,
} from "../plan/observed.ts";
import { Children } from "./children.ts";
import {
  isSameNode,
  projectChild,
  projectNode,
  projectPod,
  projectResource,
} from "./projection.ts";

/** What plans compare with what should be. Secrets are not listed: their content is nobody's business. */
const CHILD_KINDS = [
  "Service",
  "ConfigMap",
  "PersistentVolumeClaim",
  "PodDisruptionBudget",
  "NetworkPolicy",
  "StatefulSet",
  "Deployment",
] as const satisfies KindName[];

const SELECTOR = Object.entries(MANAGED_BY)
  .map(([name, value]) => `${name}=${value}`)
  .join(",");

/** Everything of one data centre. */
export interface Inside {
  /** Another one whenever a child is no more what it was; what its controllers say of it does not count. */
  revision: number;
  readonly pods: Map<string, Pod>;
  readonly campuses: Map<string, Resource<CampusSpec, CampusStatus>>;
  readonly groups: Map<string, Resource<KvGroupSpec, KvGroupStatus>>;
}

// Else a kind of which there is nothing to tell would keep every campus from its turn.
assert(AGE_MS_MAX < OLD_MS);

const OF_PODS = new Set(["Pod", "StatefulSet", "Deployment", "Node"]);

interface ClusterOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  /** Called with the name of a data centre that has changed, or of which something has. */
  readonly onChange: (dataCenter: string) => void;
  readonly onTrouble: (kind: string, error: Error) => void;
}

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #inside = new Map<string, Inside>();
  readonly #children = new Children();
  readonly #watches: { kind: string; watch: ListWatch<Cached> }[] = [];
  readonly #dataCenters = new Map<string, Resource<DataCenterSpec, DataCenterStatus>>();
  readonly #nodes = new Map<string, Node>();

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { onChange } = options;
    this.#watch<Resource<DataCenterSpec, DataCenterStatus>>("DataCenter", {
      project: projectResource,
      onChange: (key) => onChange(key),
      items: this.#dataCenters,
    });
    this.#watchParts<Resource<CampusSpec, CampusStatus>>("Campus", (inside) => inside.campuses);
    this.#watchParts<Resource<KvGroupSpec, KvGroupStatus>>("KVGroup", (inside) => inside.groups);
    for (const kind of CHILD_KINDS) {
      this.#watch<Child>(kind, {
        project: projectChild(kind),
        onChange: (_, now, before) => this.#childChanged(now, before),
        items: this.#children.ofKind(kind),
        labelSelector: SELECTOR,
      });
    }
    this.#watch<Pod>("Pod", {
      project: projectPod,
      onChange: (_, now, before) => {
        this.#move((inside) => inside.pods, (now ?? before)!.name, { now, before });
      },
      labelSelector: SELECTOR,
    });
    this.#watchNodes();
  }

  start(): void {
    for (const { watch } of this.#watches) watch.start();
  }

  async stop(): Promise<void> {
    await Promise.all(this.#watches.map(({ watch }) => watch.stop()));
  }

  /** Resolves when every kind was listed once. */
  async synced(): Promise<void> {
    await Promise.all(this.#watches.map(({ watch }) => watch.synced));
  }

  /** By kind: how old what is known of it may be, milliseconds. */
  ages(): { kind: string; ageMs: number; lists: number; failures: number }[] {
    return this.#watches.map(({ kind, watch }) => {
      const { ageMs, lists, failures } = watch;
      return { kind, ageMs, lists, failures };
    });
  }

  /** How old what is known of who runs where may be, milliseconds. */
  get podsAgeMs(): number {
    const ages = this.ages().filter(({ kind }) => OF_PODS.has(kind));
    return Math.max(...ages.map(({ ageMs }) => ageMs));
  }

  /** What belongs to a data centre, whether or not there is one of that name. */
  inside(dataCenter: string): Inside {
    let found = this.#inside.get(dataCenter);
    if (found === undefined) {
      const empty = {
        revision: 0,
        pods: new Map(),
        campuses: new Map(),
        groups: new Map(),
      };
      found = empty;
      this.#inside.set(dataCenter, found);
    }
    return found;
  }

  /** By "Kind/name". Made when it is asked for: kept, the keys would be as large as what they lead to. */
  childrenOf(dataCenter: string): ReadonlyMap<string, Child> {
    const children = this.#children.of(dataCenter);
    return new Map(children.map((child) => [childKey(child.kind, child.name), child]));
  }

  /** Whichever data centre it is of. */
  childOf(kind: string, name: string): Child | undefined {
    return this.#children.get(kind, name);
  }

  get dataCenters(): ReadonlyMap<string, Resource<DataCenterSpec, DataCenterStatus>> {
    return this.#dataCenters;
  }

  get nodes(): ReadonlyMap<string, Node> {
    return this.#nodes;
  }

  #childChanged(now: Child | undefined, before: Child | undefined): void {
    const isOther =
      now?.dataCenter !== before?.dataCenter ||
      now?.digest !== before?.digest ||
      now?.uid !== before?.uid ||
      now?.isLeaving !== before?.isLeaving;
    for (const dataCenter of new Set([before?.dataCenter, now?.dataCenter])) {
      if (dataCenter === undefined) continue;
      if (isOther) this.inside(dataCenter).revision += 1;
      this.#options.onChange(dataCenter);
    }
  }

  #watch<T extends Cached>(
    kind: KindName,
    options: Pick<ListWatchOptions<T>, "project" | "onChange" | "items" | "labelSelector">,
  ): void {
    const { client, namespace, onTrouble } = this.#options;
    const watch = new ListWatch<T>({
      ...options,
      client,
      path: pathOf(kind, kind === "Node" ? undefined : namespace),
      onTrouble: (error) => onTrouble(kind, error),
    });
    this.#watches.push({ kind, watch: watch as unknown as ListWatch<Cached> });
  }

  #watchParts<T extends Resource<{ dataCenter: string }, unknown>>(
    kind: "Campus" | "KVGroup",
    partsOf: (inside: Inside) => Map<string, unknown>,
  ): void {
    const project = (object: KubeObject) => projectResource(object) as T | undefined;
    const onChange = (_: string, now: T | undefined, before: T | undefined) => {
      const { name, spec } = (now ?? before)!;
      const parts = partsOf(this.inside(spec.dataCenter));
      if (now === undefined) parts.delete(name);
      else parts.set(name, now);
      this.#options.onChange(spec.dataCenter);
    };
    this.#watch<T>(kind, { project, onChange });
  }

  #watchNodes(): void {
    const onChange = (_: string, now: Node | undefined, before: Node | undefined) => {
      if (now !== undefined && before !== undefined && isSameNode(now, before)) return;
      for (const name of this.dataCenters.keys()) this.#options.onChange(name);
    };
    this.#watch<Node>("Node", { project: projectNode, onChange, items: this.#nodes });
  }

  #move<T extends { dataCenter: string }>(
    partsOf: (inside: Inside) => Map<string, T>,
    key: string,
    { now, before }: { now: T | undefined; before: T | undefined },
  ): void {
    if (before !== undefined && before.dataCenter !== now?.dataCenter) {
      partsOf(this.inside(before.dataCenter)).delete(key);
      this.#options.onChange(before.dataCenter);
    }
    if (now === undefined) return;
    partsOf(this.inside(now.dataCenter)).set(key, now);
    this.#options.onChange(now.dataCenter);
  }
}
