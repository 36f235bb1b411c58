/**
 * Copies of the objects that the operator made, 200,000 of them for ten thousand groups: in columns, data centre by
 * data centre, without what can be told from the rest. An object for each, with its texts and its place in a map by
 * name, takes four times as much.
 *
 * A name is the data centre's and an end that every data centre has, as a rule; ends, kinds, workloads and campuses
 * are few together, and kept once. So a name leads to its data centre, and no map of all names is needed.
 */
import type { Items } from "../kube/list-watch.ts";
import type { Child, ClaimFacts, ServiceFacts } from "../plan/observed.ts";

/** What children of many data centres have in common. */
interface Role {
  readonly kind: string;
  /** "-logic-a": what of the name follows the data centre's; without the dash: all of the name. */
  readonly end: string;
  readonly workload: string;
  readonly campus: string;
  readonly isLeaving: boolean;
  readonly isSettled: boolean;
}

/** A pod template's digest, a service's only address, or what else is known. */
type Facts = string | ServiceFacts | ClaimFacts;

export class Children {
  readonly #tables = new Map<string, Table>();
  /** By "Kind/name": the data centre of those whose name does not begin with its. */
  readonly #strays = new Map<string, string>();
  /** As many as there are different ones. */
  readonly #roles = new Map<string, Role>();

  /** Of a data centre, in no order. */
  of(dataCenter: string): Child[] {
    return this.#tables.get(dataCenter)?.all() ?? [];
  }

  get(kind: string, name: string): Child | undefined {
    const stray = this.#strays.get(`${kind}/${name}`);
    if (stray !== undefined) return this.#tables.get(stray)?.get(kind, name);
    for (let at = name.indexOf("-"); at !== -1; at = name.indexOf("-", at + 1)) {
      const found = this.#tables.get(name.slice(0, at))?.get(kind, name.slice(at));
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Those of a kind, for the watch that keeps them. */
  ofKind(kind: string): Items<Child> {
    const tables = this.#tables;
    return {
      get: (name) => this.get(kind, name),
      set: (_, child) => this.#set(child),
      delete: (name) => {
        const before = this.get(kind, name);
        if (before !== undefined) this.#delete(before);
      },
      *[Symbol.iterator]() {
        for (const table of tables.values())
          for (const child of table.all()) if (child.kind === kind) yield [child.name, child];
      },
    };
  }

  #set(child: Child): void {
    const { kind, name, dataCenter, workload, campus, isLeaving, isSettled } = child;
    const before = this.get(kind, name);
    if (before !== undefined && before.dataCenter !== dataCenter) this.#delete(before);
    const end = endOf(child);
    if (end === name) this.#strays.set(`${kind}/${name}`, dataCenter);
    const key = [kind, end, workload, campus, isLeaving, isSettled].join("/");
    let role = this.#roles.get(key);
    if (role === undefined) {
      role = { kind, end, workload, campus, isLeaving, isSettled };
      this.#roles.set(key, role);
    }
    let table = this.#tables.get(dataCenter);
    if (table === undefined) {
      table = new Table(dataCenter);
      this.#tables.set(dataCenter, table);
    }
    table.set(role, child);
  }

  #delete(child: Child): void {
    const { kind, name, dataCenter } = child;
    this.#strays.delete(`${kind}/${name}`);
    const table = this.#tables.get(dataCenter)!;
    table.delete(kind, endOf(child));
    if (table.size === 0) this.#tables.delete(dataCenter);
  }
}

function endOf({ name, dataCenter }: Child): string {
  return name.startsWith(`${dataCenter}-`) ? name.slice(dataCenter.length) : name;
}

/** The children of one data centre: what is at the same place of each column is of the same child. */
class Table {
  readonly #dataCenter: string;
  readonly #roles: Role[] = [];
  /** Numbers, as long as the server's versions are some. */
  readonly #versions: (number | string)[] = [];
  readonly #digests: number[] = [];
  readonly #uids: Uid[] = [];
  readonly #facts: Facts[] = [];

  constructor(dataCenter: string) {
    this.#dataCenter = dataCenter;
  }

  get size(): number {
    return this.#roles.length;
  }

  all(): Child[] {
    return this.#roles.map((_, at) => this.#childAt(at));
  }

  get(kind: string, end: string): Child | undefined {
    const at = this.#find(kind, end);
    return at === -1 ? undefined : this.#childAt(at);
  }

  set(role: Role, child: Child): void {
    const found = this.#find(role.kind, role.end);
    const at = found === -1 ? this.size : found;
    this.#roles[at] = role;
    this.#versions[at] = packedVersion(child.resourceVersion);
    this.#digests[at] = child.digest;
    this.#uids[at] = packedUid(child.uid);
    this.#facts[at] = packedFacts(child);
  }

  delete(kind: string, end: string): void {
    const at = this.#find(kind, end);
    const columns = [this.#roles, this.#versions, this.#digests, this.#uids, this.#facts];
    for (const column of columns as unknown[][]) {
      const last = column.pop();
      if (at < column.length) column[at] = last;
    }
  }

  #find(kind: string, end: string): number {
    return this.#roles.findIndex((role) => role.end === end && role.kind === kind);
  }

  #childAt(at: number): Child {
    return new Copy(this.#dataCenter, this.#roles[at]!, {
      version: this.#versions[at]!,
      digest: this.#digests[at]!,
      uid: this.#uids[at]!,
      facts: this.#facts[at]!,
    });
  }
}

interface Row {
  readonly version: number | string;
  readonly digest: number;
  readonly uid: Uid;
  readonly facts: Facts;
}

/** A child as plans look at it, for as long as they do. Few look at its uid. */
class Copy implements Child {
  readonly resourceVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly dataCenter: string;
  readonly workload: string;
  readonly campus: string;
  readonly digest: number;
  readonly isLeaving: boolean;
  readonly template: string;
  readonly isSettled: boolean;
  readonly service: ServiceFacts | undefined;
  readonly claim: ClaimFacts | undefined;
  readonly #uid: Uid;

  constructor(dataCenter: string, role: Role, { version, digest, uid, facts }: Row) {
    const { kind, end } = role;
    const isText = typeof facts === "string";
    const isService = kind === "Service";
    this.resourceVersion = String(version);
    this.kind = kind;
    this.name = end.startsWith("-") ? dataCenter + end : end;
    this.dataCenter = dataCenter;
    this.workload = role.workload;
    this.campus = role.campus;
    this.digest = digest;
    this.isLeaving = role.isLeaving;
    this.template = isText && !isService ? facts : "";
    this.isSettled = role.isSettled;
    this.service = isService ? (isText ? onlyAddress(facts) : (facts as ServiceFacts)) : undefined;
    this.claim = isText || isService ? undefined : (facts as ClaimFacts);
    this.#uid = uid;
  }

  get uid(): string {
    return uidIn(this.#uid);
  }
}

function packedFacts({ service, claim, template }: Child): Facts {
  if (service === undefined) return claim ?? template;
  return service.nodePort === 0 && service.outside === "" ? service.ip : service;
}

function onlyAddress(ip: string): ServiceFacts {
  return { ip, nodePort: 0, outside: "" };
}

function packedVersion(version: string): number | string {
  const number = Number(version);
  return String(number) === version ? number : version;
}

/** The bytes of one as text, half as long as in hexadecimal digits; or one of another form, as it is. */
type Uid = string | { readonly uid: string };

function packedUid(uid: string): Uid {
  const packed = Buffer.from(uid.replaceAll("-", ""), "hex").toString("latin1");
  return uidIn(packed) === uid ? packed : { uid };
}

function uidIn(packed: Uid): string {
  if (typeof packed !== "string") return packed.uid;
  const hex = Buffer.from(packed, "latin1").toString("hex");
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20)];
  return [...parts, hex.slice(20)].join("-");
}
