/**
 * What of an object is ours, and whether it is what we want: without a copy of what was applied last.
 *
 * With server-side apply the server notes which fields each manager owns (metadata.managedFields).
 * The values of our fields are exactly what we applied, as long as nobody took one away or changed it:
 * so their digest is compared with the digest of what we want. It finds a foreign change, needs
 * nothing remembered, and holds across restarts and versions of the operator.
 */
import { hash } from "node:crypto";
import type { KubeObject } from "./object.ts";
import { stableJson } from "./stable-json.ts";

type Tree = { readonly [key: string]: Tree };

/** Names of objects and their place are no fields. */
const PLACE = new Set(["name", "namespace"]);

/** Digest of an object as we would apply it. */
export function digestOf({ apiVersion: _, kind: __, metadata, ...fields }: KubeObject): string {
  const kept = Object.entries(metadata).filter(([name]) => !PLACE.has(name));
  return digestOfValue(
    kept.length === 0 ? fields : { ...fields, metadata: Object.fromEntries(kept) },
  );
}

/** Digest of what `manager` has applied to the object and what still stands; "" when it has nothing. */
export function ownedDigest(object: KubeObject, manager: string): string {
  const fields = object.metadata.managedFields?.find(
    (entry) =>
      entry.manager === manager && entry.operation === "Apply" && (entry.subresource ?? "") === "",
  )?.fieldsV1;
  return fields === undefined ? "" : digestOfValue(owned(object, fields as Tree));
}

/** The same for values of the same JSON. */
export function digestOfValue(value: unknown): string {
  // A slice of a longer text would keep that text in memory, once for every object.
  return hash("sha1", stableJson(value), "buffer").toString("base64url", 0, 12);
}

/** The part of a value that a tree of fields names. */
function owned(value: unknown, tree: Tree): unknown {
  const keys = Object.keys(tree).filter((key) => key !== ".");
  if (keys.length === 0) return value;
  if (Array.isArray(value)) return ownedItems(value, tree, keys);
  if (typeof value !== "object" || value === null) return value;
  const fields = value as Record<string, unknown>;
  const found: Record<string, unknown> = {};
  for (const key of keys) {
    const name = key.slice(2);
    if (name in fields) found[name] = owned(fields[name], tree[key]!);
  }
  return found;
}

/** Items of a list in the list's order: those named by their key fields, or by their value. */
function ownedItems(items: readonly unknown[], tree: Tree, keys: readonly string[]): unknown[] {
  const named = keys.filter((key) => key.startsWith("k:"));
  const wanted = named.map((key) => [JSON.parse(key.slice(2)) as object, tree[key]!] as const);
  const values = new Set(keys.filter((key) => key.startsWith("v:")).map((key) => key.slice(2)));
  return items.flatMap((item) => {
    if (values.has(JSON.stringify(item))) return [item];
    const found = wanted.find(([fields]) => hasFields(item, fields));
    return found === undefined ? [] : [owned(item, found[1])];
  });
}

function hasFields(item: unknown, fields: object): boolean {
  if (typeof item !== "object" || item === null) return false;
  return Object.entries(fields).every(
    ([name, value]) => (item as Record<string, unknown>)[name] === value,
  );
}
