/**
 * What counts as one stranger: an IPv4 address, or the first half of an IPv6 one, since whoever has one of those
 * has as many as it likes behind the same half. Pure.
 */
const GROUPS = 8;
const MAPPED = "::ffff:";

/** `remote`: as a socket tells it; undefined when the connection is gone already. */
export function clientAddress(remote: string | undefined): string {
  if (remote === undefined) return "";
  if (remote.startsWith(MAPPED)) return remote.slice(MAPPED.length);
  if (!remote.includes(":")) return remote;
  const [before, after] = remote.split("::").map((part) => (part === "" ? [] : part.split(":")));
  const known = [before ?? [], after ?? []] as const;
  const zeros = Math.max(0, GROUPS - known[0].length - known[1].length);
  const all = [...known[0], ...Array.from({ length: zeros }, () => "0"), ...known[1]];
  return all.slice(0, GROUPS / 2).join(":");
}
