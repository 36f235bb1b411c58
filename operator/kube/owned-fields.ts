/**
 * What of an object is ours, and whether it is what we want: without a copy of what was applied last.
 *
 * With server-side apply the server notes which fields each manager owns (metadata.managedFields).
 * The values of our fields are exactly what we applied, as long as nobody took one away or changed it:
 * so their digest is compared with the digest of what we want. It finds a foreign change, needs
 * nothing remembered, and holds across restarts and versions of the operator.
 */
import { digestOfMixed, digestOfValue, Fields, Items, mix, NO_DIGEST } from "./digest.ts";
import type { KubeObject } from "./object.ts";

type Tree = { readonly [key: string]: Tree };

/** Names of objects and their place are no fields. */
const PLACE = new Set(["name", "namespace"]);

/** Digest of an object as we would apply it. */
export function digestOf({ apiVersion: _, kind: __, metadata, ...fields }: KubeObject): number {
  const kept = Object.entries(metadata).filter(([name]) => !PLACE.has(name));
  return digestOfValue(
    kept.length === 0 ? fields : { ...fields, metadata: Object.fromEntries(kept) },
  );
}

/** Digest of what `manager` has applied to the object and what still stands; NO_DIGEST when it has nothing. */
export function ownedDigest(object: KubeObject, manager: string): number {
  const fields = object.metadata.managedFields?.find(
    (entry) =>
      entry.manager === manager && entry.operation === "Apply" && (entry.subresource ?? "") === "",
  )?.fieldsV1;
  if (fields === undefined) return NO_DIGEST;
  mixOwned(object, fields as Tree);
  return digestOfMixed();
}

/** Mixes the part of a value that a tree of fields names. */
function mixOwned(value: unknown, tree: Tree): void {
  if (isLeaf(tree) || typeof value !== "object" || value === null) mix(value);
  else if (Array.isArray(value)) mixOwnedItems(value, tree);
  else {
    const fields = value as Record<string, unknown>;
    const sum = new Fields();
    for (const key in tree) {
      const { name } = partNamed(key);
      const field = fields[name];
      if (field === undefined) continue;
      mixOwned(field, tree[key]!);
      sum.add(name);
    }
    sum.mix();
  }
}

/** Items of a list in the list's order: those named by their key fields, or by their value. */
function mixOwnedItems(items: readonly unknown[], tree: Tree): void {
  const sum = new Items();
  const named = Object.keys(tree).map(partNamed);
  for (const item of items) {
    const part = named.find(({ isItem }) => isItem(item));
    if (part === undefined) continue;
    mixOwned(item, tree[part.key]!);
    sum.add();
  }
  sum.mix();
}

function isLeaf(tree: Tree): boolean {
  for (const key in tree) if (key !== ".") return false;
  return true;
}

/** What a key of a tree names: "f:spec" a field, 'k:{"name":"main"}' and "v:1" an item, "." the value itself. */
interface Part {
  readonly key: string;
  readonly name: string;
  readonly isItem: (item: unknown) => boolean;
}

/** Most are of schemas, and so few; those with uids of owners are not. */
const PARTS_MAX = 2_000;
const parts = new Map<string, Part>();

function partNamed(key: string): Part {
  let part = parts.get(key);
  if (part === undefined) {
    part = { key, name: key.slice(2), isItem: itemTest(key) };
    if (parts.size >= PARTS_MAX) parts.clear();
    parts.set(key, part);
  }
  return part;
}

function itemTest(key: string): Part["isItem"] {
  const json = key.slice(2);
  if (key.startsWith("v:")) return (item) => JSON.stringify(item) === json;
  if (!key.startsWith("k:")) return () => false;
  const wanted = Object.entries(JSON.parse(json) as Record<string, unknown>);
  return (item) =>
    typeof item === "object" &&
    item !== null &&
    wanted.every(([name, value]) => (item as Record<string, unknown>)[name] === value);
}
