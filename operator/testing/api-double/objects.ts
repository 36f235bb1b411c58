/**
 * The objects of an API double: versions, generations, who owns which field, and what changed since
 * when. One counter of versions for all, as with etcd.
 */
import type { KubeObject } from "../../kube/object.ts";
import {
  copyOf,
  differing,
  intersection,
  merge,
  remove,
  type Tree,
  treeOf,
  union,
  without,
} from "./field-tree.ts";

export interface Place {
  /** "/apis/apps/v1 statefulsets" */
  readonly resource: string;
  readonly namespace: string;
}

export interface Change {
  readonly version: number;
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly namespace: string;
  /** The event as a line of a watch, made once for all who watch. */
  readonly line: string;
  readonly labels: Record<string, string>;
}

interface RefusalDetails {
  readonly causes: readonly { readonly reason: string; readonly message: string }[];
  readonly retryAfterSeconds?: number | undefined;
}

export class Refused extends Error {
  readonly status: number;
  readonly reason: string;
  readonly details: RefusalDetails | undefined;

  constructor(status: number, reason: string, message: string, details?: RefusalDetails) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.details = details;
  }
}

interface Entry {
  manager: string;
  operation: "Apply" | "Update";
  apiVersion: string;
  fieldsType: "FieldsV1";
  fieldsV1: Tree;
  subresource?: string;
}

interface Kept {
  readonly objects: Map<string, KubeObject>;
  readonly changes: Change[];
  /** Changes up to this version are forgotten. */
  forgottenThrough: number;
}

/** Where the double's history begins. */
const FIRST_VERSION = 1_000;
/** Changes of a resource that are kept for watches. */
const CHANGES_MAX = 5_000;
const NO_SPEC = new Set(["metadata", "status", "apiVersion", "kind"]);

export interface Write {
  readonly manager: string;
  readonly force?: boolean;
  /** "status" or "". */
  readonly subresource?: string;
}

/** As long as a real one. */
function uidOf(count: number): string {
  return `00000000-0000-4000-8000-${count.toString(16).padStart(12, "0")}`;
}

export class Objects {
  readonly #kept = new Map<string, Kept>();
  readonly #listeners = new Set<(resource: string, change: Change, object: KubeObject) => void>();
  #version = FIRST_VERSION;
  #uids = 0;
  /** Called before an object is stored for the first time: what a real server fills in. */
  prepare: (resource: string, object: KubeObject) => void = () => {};
  /** Seconds since 1970. */
  now: () => number = () => Date.now() / 1_000;

  get version(): number {
    return this.#version;
  }

  /** `heard` is told of every change; returns what ends that. */
  listen(heard: (resource: string, change: Change, object: KubeObject) => void): () => void {
    this.#listeners.add(heard);
    return () => this.#listeners.delete(heard);
  }

  all(resource: string): KubeObject[] {
    return [...this.#of(resource).objects.values()];
  }

  count(resource: string): number {
    return this.#of(resource).objects.size;
  }

  get({ resource, namespace }: Place, name: string): KubeObject | undefined {
    return this.#of(resource).objects.get(`${namespace}/${name}`);
  }

  /** Throws 410 when they are not all kept. */
  changesSince(resource: string, version: number): readonly Change[] {
    const { changes, forgottenThrough } = this.#of(resource);
    if (version < forgottenThrough)
      throw new Refused(410, "Expired", `too old resource version: ${version}`);
    let first = changes.length;
    while (first > 0 && changes[first - 1]!.version > version) first -= 1;
    return changes.slice(first);
  }

  /** Forgets what changed until now, as compaction does. */
  compact(): void {
    for (const kept of this.#kept.values()) {
      kept.changes.length = 0;
      kept.forgottenThrough = this.#version;
    }
  }

  /** Returns what puts everything back as it is now, versions too, as an etcd is from a backup. */
  backup(): () => void {
    const version = this.#version;
    const before = structuredClone(
      new Map([...this.#kept].map(([of, kept]) => [of, kept.objects])),
    );
    return () => {
      this.#version = version;
      for (const [resource, kept] of this.#kept) {
        kept.objects.clear();
        for (const [key, object] of before.get(resource) ?? []) kept.objects.set(key, object);
        kept.changes.length = 0;
        kept.forgottenThrough = version;
      }
    };
  }

  create(place: Place, given: KubeObject, { manager }: Write): KubeObject {
    const name = given.metadata.name;
    if (this.get(place, name) !== undefined)
      throw new Refused(409, "AlreadyExists", `${place.resource} "${name}" already exists`);
    const object = copyOf(given);
    if (place.resource !== NODES) delete object.status;
    const entry = this.#entry(object, manager, "Update", treeOf(fieldsOf(object)));
    return this.#store(place, undefined, { object, entries: [entry] });
  }

  apply(place: Place, given: KubeObject, write: Write): KubeObject {
    const { manager, force = false, subresource = "" } = write;
    const before = this.get(place, given.metadata.name);
    if (before === undefined && subresource !== "") throw notFound(place, given.metadata.name);
    const { uid, resourceVersion = before?.metadata.resourceVersion } = given.metadata;
    if (resourceVersion !== before?.metadata.resourceVersion)
      throw new Refused(409, "Conflict", "the object has been modified; read it again");
    if (uid !== undefined && uid !== before?.metadata.uid)
      throw new Refused(
        409,
        "Conflict",
        `the UID in the precondition is not ${before?.metadata.uid}`,
      );
    const wanted = partOf(given, subresource);
    const entries = entriesOf(before);
    const mine = entries.find((one) => isEntry(one, manager, "Apply", subresource));
    const others = entries.filter((one) => one !== mine && (one.subresource ?? "") === subresource);
    const tree = treeOf(wanted);
    const base = before === undefined ? {} : partOf(before, subresource);
    for (const other of others) {
      const taken = differing(intersection(tree, other.fieldsV1), base, wanted);
      if (taken.length === 0) continue;
      if (!force) {
        const message = `conflict with "${other.manager}": .${taken[0]}`;
        throw new Refused(409, "Conflict", `Apply failed with 1 conflict: ${message}`);
      }
      other.fieldsV1 = without(other.fieldsV1, [tree]);
    }
    const gone =
      mine === undefined ? {} : without(mine.fieldsV1, [tree, ...others.map((o) => o.fieldsV1)]);
    const cleared = Object.keys(gone).length === 0 ? base : (remove(base, gone) ?? {});
    const part = merge(cleared, wanted) as Record<string, unknown>;
    const { status: _, ...born } = given;
    const object = withPart(before ?? (born as KubeObject), part, subresource);
    const entry = this.#entry(given, manager, "Apply", tree, subresource);
    const left = entries.filter((one) => one !== mine && Object.keys(one.fieldsV1).length > 0);
    return this.#store(place, before, { object, entries: [...left, entry] });
  }

  /** A merge patch, by somebody who does not apply: what it changes becomes theirs. */
  patch(place: Place, name: string, change: { body: unknown } & Write): KubeObject {
    const { body, manager, subresource = "" } = change;
    const before = this.get(place, name);
    if (before === undefined) throw notFound(place, name);
    const wanted = (body as KubeObject).metadata?.resourceVersion;
    if (wanted !== undefined && wanted !== before.metadata.resourceVersion)
      throw new Refused(409, "Conflict", "the object has been modified; read it again");
    const patched = mergePatch(before, body) as KubeObject;
    return this.#update(place, { before, after: patched, manager, subresource });
  }

  /** Changes an object as its controller would. */
  update(
    place: Place,
    name: string,
    change: (object: KubeObject) => void,
    manager = "controller",
  ): void {
    const before = this.get(place, name);
    if (before === undefined) return;
    const after = copyOf(before);
    change(after);
    const isStatus = JSON.stringify(partOf(after, "")) === JSON.stringify(partOf(before, ""));
    this.#update(place, { before, after, manager, subresource: isStatus ? "status" : "" });
  }

  #update(
    place: Place,
    change: { before: KubeObject; after: KubeObject; manager: string; subresource: string },
  ): KubeObject {
    const { before, after, manager, subresource } = change;
    const part = partOf(after, subresource);
    const base = partOf(before, subresource);
    const changed = changedTree(base, part);
    const entries = entriesOf(before).map((entry) =>
      (entry.subresource ?? "") === subresource
        ? { ...entry, fieldsV1: without(entry.fieldsV1, [changed]) }
        : entry,
    );
    const mine = entries.find((one) => isEntry(one, manager, "Update", subresource));
    const fields = union(mine?.fieldsV1 ?? {}, changed);
    const others = entries.filter((one) => one !== mine && Object.keys(one.fieldsV1).length > 0);
    const entry = this.#entry(before, manager, "Update", fields, subresource);
    const object = withPart(before, part as Record<string, unknown>, subresource);
    return this.#store(place, before, { object, entries: [...others, entry] });
  }

  /** Notes that the object is to go, as long as somebody holds it. */
  mark(place: Place, name: string, { uid }: { uid?: string | undefined }): KubeObject {
    const object = this.get(place, name)!;
    if (uid !== undefined && uid !== object.metadata.uid)
      throw new Refused(
        409,
        "Conflict",
        `the UID in the precondition is not ${object.metadata.uid}`,
      );
    if (object.metadata.deletionTimestamp !== undefined) return object;
    const deletionTimestamp = new Date(this.now() * 1_000).toISOString();
    const marked = { ...object, metadata: { ...object.metadata, deletionTimestamp } };
    this.#of(place.resource).objects.set(`${place.namespace}/${name}`, marked);
    this.#tell(place, "MODIFIED", marked);
    return marked;
  }

  delete(place: Place, name: string, conditions: { uid?: string | undefined } = {}): KubeObject {
    const object = this.get(place, name);
    if (object === undefined) throw notFound(place, name);
    if (conditions.uid !== undefined && conditions.uid !== object.metadata.uid)
      throw new Refused(
        409,
        "Conflict",
        `the UID in the precondition is not ${object.metadata.uid}`,
      );
    this.#of(place.resource).objects.delete(`${place.namespace}/${name}`);
    this.#tell(place, "DELETED", object);
    return object;
  }

  #store(
    place: Place,
    before: KubeObject | undefined,
    { object, entries }: { object: KubeObject; entries: readonly Entry[] },
  ): KubeObject {
    const isSame =
      before !== undefined &&
      JSON.stringify(partOf(before, "")) === JSON.stringify(partOf(object, "")) &&
      JSON.stringify(before.status) === JSON.stringify(object.status) &&
      JSON.stringify(entriesOf(before)) === JSON.stringify(entries);
    if (isSame) return before;
    const { namespace, resource } = place;
    if (before === undefined) this.#begin(place, object);
    const isSpecNew =
      before === undefined || JSON.stringify(specOf(before)) !== JSON.stringify(specOf(object));
    const generation = (before?.metadata.generation ?? 0) + (isSpecNew ? 1 : 0);
    const stored: KubeObject = {
      ...object,
      metadata: { ...object.metadata, generation, managedFields: entries as never },
    };
    this.#of(resource).objects.set(`${namespace}/${object.metadata.name}`, stored);
    this.#tell(place, before === undefined ? "ADDED" : "MODIFIED", stored);
    return stored;
  }

  #begin({ namespace, resource }: Place, object: KubeObject): void {
    this.#uids += 1;
    object.metadata = {
      ...object.metadata,
      ...(namespace !== "" && { namespace }),
      uid: uidOf(this.#uids),
      creationTimestamp: new Date(this.now() * 1_000).toISOString(),
    };
    this.prepare(resource, object);
  }

  #tell({ resource, namespace }: Place, type: Change["type"], object: KubeObject): void {
    this.#version += 1;
    object.metadata.resourceVersion = String(this.#version);
    const { changes } = this.#of(resource);
    const line = `${JSON.stringify({ type, object })}\n`;
    const labels = object.metadata.labels ?? {};
    const change: Change = { version: this.#version, type, namespace, line, labels };
    changes.push(change);
    if (changes.length > CHANGES_MAX) {
      const kept = this.#of(resource);
      kept.forgottenThrough = changes.splice(0, CHANGES_MAX / 2).at(-1)!.version;
    }
    for (const heard of this.#listeners) heard(resource, change, object);
  }

  #of(resource: string): Kept {
    let kept = this.#kept.get(resource);
    if (kept === undefined) {
      kept = { objects: new Map(), changes: [], forgottenThrough: FIRST_VERSION };
      this.#kept.set(resource, kept);
    }
    return kept;
  }

  #entry(
    { apiVersion = "" }: KubeObject,
    manager: string,
    operation: Entry["operation"],
    fieldsV1: Tree,
    subresource = "",
  ): Entry {
    const entry: Entry = { manager, operation, apiVersion, fieldsType: "FieldsV1", fieldsV1 };
    return subresource === "" ? entry : { ...entry, subresource };
  }
}

export const NODES = "/api/v1 nodes";

function notFound({ resource }: Place, name: string): Refused {
  return new Refused(404, "NotFound", `${resource} "${name}" not found`);
}

function entriesOf(object: KubeObject | undefined): Entry[] {
  const entries = (object?.metadata.managedFields ?? []) as unknown as Entry[];
  // Trees are never changed, only replaced.
  return entries.map((entry) => ({ ...entry }));
}

function isEntry(entry: Entry, manager: string, operation: string, subresource: string): boolean {
  return (
    entry.manager === manager &&
    entry.operation === operation &&
    (entry.subresource ?? "") === subresource
  );
}

/** What people write of an object: everything but what the server fills in. */
function fieldsOf({ metadata, apiVersion: _, kind: __, status: ___, ...fields }: KubeObject) {
  const { labels, annotations, ownerReferences, finalizers } = metadata;
  const written = { labels, annotations, ownerReferences, finalizers };
  const given = Object.entries(written).filter(([, value]) => value !== undefined);
  return given.length === 0 ? fields : { ...fields, metadata: Object.fromEntries(given) };
}

function partOf(object: KubeObject, subresource: string): Record<string, unknown> {
  if (subresource === "status") return { status: object.status ?? {} };
  return fieldsOf(object);
}

function withPart(
  base: KubeObject,
  part: Record<string, unknown>,
  subresource: string,
): KubeObject {
  if (subresource === "status") return { ...base, status: part.status };
  const { metadata: written, ...fields } = part as { metadata?: Record<string, unknown> };
  const {
    labels: _,
    annotations: __,
    ownerReferences: ___,
    finalizers: ____,
    ...kept
  } = base.metadata;
  const { apiVersion, kind, status } = base;
  const head = { apiVersion, kind, metadata: { ...kept, ...written } as KubeObject["metadata"] };
  return { ...head, ...fields, ...(status !== undefined && { status }) } as KubeObject;
}

function specOf(object: KubeObject | undefined): unknown {
  if (object === undefined) return undefined;
  return Object.fromEntries(Object.entries(object).filter(([name]) => !NO_SPEC.has(name)));
}

function mergePatch(value: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = { ...(value as Record<string, unknown>) };
  for (const [key, field] of Object.entries(patch)) {
    if (field === null) delete result[key];
    else result[key] = mergePatch(result[key], field);
  }
  return result;
}

/** The leaves whose values differ. */
function changedTree(before: unknown, after: unknown): Tree {
  const changed: Tree = {};
  if (typeof after !== "object" || after === null || Array.isArray(after)) return changed;
  for (const [key, value] of Object.entries(after)) {
    const old = (before as Record<string, unknown> | undefined)?.[key];
    if (JSON.stringify(old) === JSON.stringify(value)) continue;
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    changed[`f:${key}`] = isObject ? changedTree(old, value) : {};
  }
  return changed;
}
