/** JSON with the fields of every object in the order of their names; what is undefined is left out. */
export function stableJson(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (Array.isArray(value)) {
    let items = "";
    for (const item of value) items += items === "" ? stableJson(item) : `,${stableJson(item)}`;
    return `[${items}]`;
  }
  const object = value as Record<string, unknown>;
  let fields = "";
  for (const name of Object.keys(object).sort()) {
    const field = object[name];
    if (field === undefined) continue;
    fields += `${fields === "" ? "" : ","}${JSON.stringify(name)}:${stableJson(field)}`;
  }
  return `{${fields}}`;
}

/** Two values have the same JSON. */
export function isSameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, i) => isSameJson(item, b[i]));
  }
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const name in one) if (!isSameJson(one[name], other[name])) return false;
  for (const name in other) if (one[name] === undefined && other[name] !== undefined) return false;
  return true;
}
