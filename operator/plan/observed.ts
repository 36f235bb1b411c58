/** Everything a plan is made from: one value, taken at one moment. */
import type { CampusSpec, CampusStatus } from "../api/campus.ts";
import type { DataCenterSpec, DataCenterStatus } from "../api/data-center.ts";
import type { KvGroupSpec, KvGroupStatus } from "../api/kv-group.ts";

/**
 * An authority that was added to others issues nothing for so long: until every pod has a changed Secret in its files
 * and has looked at them, which takes two minutes or three at the worst.
 */
export const AUTHORITY_HEARD_MS = 10 * 60_000;

/**
 * A group that is new is given slots so long after its pods came up: a pod reads where the others are in a mounted
 * file, which its kubelet renews every 60 to 90 s, and until then it has no way to what the new group serves.
 */
export const ADDRESSES_HEARD_MS = 2 * 60_000;

/** A resource of ours as the API server has it. */
export interface Resource<Spec, Status> {
  readonly resourceVersion: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly spec: Spec;
  readonly status: Status;
}

/** An object that the operator made, as far as it matters. */
export interface Child {
  readonly resourceVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly dataCenter: string;
  readonly workload: string;
  readonly campus: string;
  /** Of the fields that are ours (kube/owned-fields.ts). */
  readonly digest: number;
  readonly isLeaving: boolean;
  /** Digest of the pod template; "" where there is none. */
  readonly template: string;
  /** Deployments and StatefulSets: their controllers have done what they say; others: true. */
  readonly isSettled: boolean;
  readonly service: ServiceFacts | undefined;
  readonly claim: ClaimFacts | undefined;
}

export interface ServiceFacts {
  /** In the cluster, "" while it has none. */
  readonly ip: string;
  readonly nodePort: number;
  /** What is known outside: a load balancer's address, or "". */
  readonly outside: string;
}

/** What was asked for, and what there is. */
export interface ClaimFacts {
  readonly storage: string;
  readonly capacity: string;
  readonly storagePolicy: string;
  /** The act that it was made by in another one's place, or "". */
  readonly madeBy: string;
}

export interface Pod {
  readonly resourceVersion: string;
  readonly name: string;
  readonly uid: string;
  readonly dataCenter: string;
  readonly workload: string;
  readonly campus: string;
  readonly node: string;
  readonly isReady: boolean;
  /** Milliseconds since 1970. */
  readonly readySinceMs: number;
  readonly isLeaving: boolean;
  readonly template: string;
  readonly image: string;
  /** Why it does not run, in the cluster's words: "ImagePullBackOff: ..."; empty when it does. */
  readonly trouble: string;
}

export interface Node {
  readonly resourceVersion: string;
  readonly name: string;
  readonly zone: string;
  /** The node's own name for where it is racked, "" when it has none. */
  readonly rack: string;
  readonly isReady: boolean;
  readonly address: string;
}

/** What a replica of the store says of itself. */
export interface ReplicaWord {
  /** undefined: it does not answer. */
  readonly unready: string | undefined;
  /** The uid of the pod that says it: a pod's word is none of its successor's. */
  readonly pod: string;
}

export interface TableBlock {
  /** "b", or "b/text". */
  readonly what: string;
  readonly untilMs: number;
  readonly why: string;
  readonly who: string;
}

/** What the control table says; read through the store itself. */
export interface Table {
  readonly blocks: readonly TableBlock[];
  /** By keyspace name: how many slots each group has, position 0 is group 1. */
  readonly slots: Readonly<Record<string, readonly number[]>>;
  /** A move of slots is under way. */
  readonly isMoving: boolean;
}

export interface Certificate {
  /** Sorted. */
  readonly services: readonly string[];
  /** Milliseconds since 1970, well before its end. */
  readonly renewAtMs: number;
  /** When it should have been renewed long ago. */
  readonly oldAtMs: number;
  readonly endsAtMs: number;
}

/** What the table answered to the block, or its end, that a Campus object asked for. */
export interface Outcome {
  readonly wish: string;
  readonly outcome: "Blocked" | "Unblocked" | "OtherCampusBlocked" | "Refused";
  readonly message: string;
}

export interface Observed {
  readonly nowMs: number;
  readonly namespace: string;
  readonly dataCenter: Resource<DataCenterSpec, DataCenterStatus>;
  readonly campuses: readonly Resource<CampusSpec, CampusStatus>[];
  readonly groups: readonly Resource<KvGroupSpec, KvGroupStatus>[];
  /** By "Kind/name". */
  readonly children: ReadonlyMap<string, Child>;
  readonly pods: readonly Pod[];
  readonly nodes: ReadonlyMap<string, Node>;
  /** By "kvsvr-1/a". */
  readonly words: ReadonlyMap<string, ReplicaWord>;
  /** undefined: it could not be read lately. */
  readonly table: Table | undefined;
  /** By name of the Campus object; until its status says the same. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  /** By action (actionKey): why the API server refused it when it was tried last. */
  readonly refusals: ReadonlyMap<string, string>;
  /** Percent of one core that the busiest process of each campus uses now. */
  readonly busyPercent: ReadonlyMap<string, number>;
  /** By name: what was issued; undefined: not read yet. */
  readonly certificates: ReadonlyMap<string, Certificate> | undefined;
  /** When an authority was added that pods must know before it issues, milliseconds since 1970; 0: long ago. */
  readonly authoritySinceMs: number;
  /** The Secret with the data centre's credentials is there. */
  readonly hasCredentials: boolean;
  /** What of pods, what makes them, and nodes is known may be so old. */
  readonly ageMs: number;
  /** After a campus is whole again, so long nothing else is disturbed: clients come back, lists catch up. */
  readonly settleMs: number;
  /** ADDRESSES_HEARD_MS, but in tests. */
  readonly addressesHeardMs: number;
  /** The image of the operator itself, used where none is named. */
  readonly image: string;
}

/** What is known of pods is too old to disturb anything by it: more than the copies' age while all goes well. */
export const OLD_MS = 20_000;

export const kvWorkload = (group: number) => `kvsvr-${group}`;
export const wordKey = (group: number, campus: string) => `${kvWorkload(group)}/${campus}`;
export const childKey = (kind: string, name: string) => `${kind}/${name}`;
