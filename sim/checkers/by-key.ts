/** Groups by key, in the order of first appearance. */
export function byKey<T extends { readonly key: string }>(lines: Iterable<T>): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const line of lines) {
    const group = groups.get(line.key);
    if (group === undefined) groups.set(line.key, [line]);
    else group.push(line);
  }
  return groups;
}
