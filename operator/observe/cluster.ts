/**
 * The cluster as the operator knows it: a copy of each kind it needs, sorted by data centre. Says which
 * data centre has changed; nothing is looked up in the API server while planning.
 */
import type { CampusSpec, CampusStatus } from "../api/campus.ts";
import type { DataCenterSpec, DataCenterStatus } from "../api/data-center.ts";
import type { KvGroupSpec, KvGroupStatus } from "../api/kv-group.ts";
import type { ApiClient } from "../kube/api-client.ts";
import { type KindName, pathOf } from "../kube/api-paths.ts";
import { type Cached, ListWatch } from "../kube/list-watch.ts";
import type { KubeObject } from "../kube/object.ts";
import { MANAGED_BY } from "../manifests/site.ts";
import { type Child, childKey, type Node, type Pod } from "../plan/observed.ts";
import {
  type CachedResource,
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
  /** In no order. */
  readonly children: Child[];
  /** Another one whenever a child is no more what it was; what its controllers say of it does not count. */
  revision: number;
  readonly pods: Map<string, Pod>;
  readonly campuses: Map<string, CachedResource<CampusSpec, CampusStatus>>;
  readonly groups: Map<string, CachedResource<KvGroupSpec, KvGroupStatus>>;
}

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
  /** By kind. */
  readonly #children = new Map<string, ReadonlyMap<string, Child>>();
  readonly #watches: { kind: string; watch: ListWatch<Cached> }[] = [];
  readonly dataCenters: ReadonlyMap<string, CachedResource<DataCenterSpec, DataCenterStatus>>;
  readonly nodes: ReadonlyMap<string, Node>;

  constructor(options: ClusterOptions) {
    this.#options = options;
    const { onChange } = options;
    const dataCenters = this.#watch<CachedResource<DataCenterSpec, DataCenterStatus>>(
      "DataCenter",
      projectResource,
      (key) => onChange(key),
    );
    this.dataCenters = dataCenters.items;
    this.#watchParts<CachedResource<CampusSpec, CampusStatus>>(
      "Campus",
      (inside) => inside.campuses,
    );
    this.#watchParts<CachedResource<KvGroupSpec, KvGroupStatus>>(
      "KVGroup",
      (inside) => inside.groups,
    );
    for (const kind of CHILD_KINDS) {
      const watch = this.#watch<Child>(
        kind,
        projectChild(kind),
        (_, now, before) => {
          if (before !== undefined) this.#moveChild(before, now);
          else if (now !== undefined) this.#addChild(now);
        },
        SELECTOR,
      );
      this.#children.set(kind, watch.items);
    }
    this.#watch<Pod>(
      "Pod",
      projectPod,
      (_, now, before) => {
        this.#move((inside) => inside.pods, (now ?? before)!.name, { now, before });
      },
      SELECTOR,
    );
    this.nodes = this.#watchNodes().items;
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

  /** What belongs to a data centre, whether or not there is one of that name. */
  inside(dataCenter: string): Inside {
    let found = this.#inside.get(dataCenter);
    if (found === undefined) {
      const empty = {
        children: [],
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
    const { children } = this.inside(dataCenter);
    return new Map(children.map((child) => [childKey(child.kind, child.name), child]));
  }

  /** Whichever data centre it is of. */
  childOf(kind: string, name: string): Child | undefined {
    return this.#children.get(kind)?.get(name);
  }

  #addChild(now: Child): void {
    const inside = this.inside(now.dataCenter);
    inside.children.push(now);
    inside.revision += 1;
    this.#options.onChange(now.dataCenter);
  }

  #moveChild(before: Child, now: Child | undefined): void {
    const inside = this.inside(before.dataCenter);
    const at = inside.children.indexOf(before);
    if (now?.dataCenter === before.dataCenter) {
      inside.children[at] = now;
      if (
        now.digest !== before.digest ||
        now.uid !== before.uid ||
        now.isLeaving !== before.isLeaving
      )
        inside.revision += 1;
      this.#options.onChange(now.dataCenter);
      return;
    }
    inside.children[at] = inside.children.at(-1)!;
    inside.children.pop();
    inside.revision += 1;
    this.#options.onChange(before.dataCenter);
    if (now !== undefined) this.#addChild(now);
  }

  #watch<T extends Cached>(
    kind: KindName,
    project: (object: KubeObject) => T | undefined,
    changed: (key: string, now: T | undefined, before: T | undefined) => void,
    labelSelector?: string,
  ): ListWatch<T> {
    const { client, namespace, onTrouble } = this.#options;
    const watch = new ListWatch<T>({
      client,
      path: pathOf(kind, kind === "Node" ? undefined : namespace),
      labelSelector,
      project,
      onChange: changed,
      onTrouble: (error) => onTrouble(kind, error),
    });
    this.#watches.push({ kind, watch: watch as unknown as ListWatch<Cached> });
    return watch;
  }

  #watchParts<T extends CachedResource<{ dataCenter: string }, unknown>>(
    kind: "Campus" | "KVGroup",
    partsOf: (inside: Inside) => Map<string, unknown>,
  ): void {
    const project = (object: KubeObject) => projectResource(object) as T | undefined;
    this.#watch<T>(kind, project, (_, now, before) => {
      const { name, spec } = (now ?? before)!;
      const parts = partsOf(this.inside(spec.dataCenter));
      if (now === undefined) parts.delete(name);
      else parts.set(name, now);
      this.#options.onChange(spec.dataCenter);
    });
  }

  #watchNodes(): ListWatch<Node> {
    return this.#watch<Node>("Node", projectNode, (_, now, before) => {
      if (now !== undefined && before !== undefined && isSameNode(now, before)) return;
      for (const name of this.dataCenters.keys()) this.#options.onChange(name);
    });
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
