/** What must be in a backup of a key, from what the replicas durably know of it: pure. */

interface Known {
  /** Newest version known to be decided. */
  readonly knownVersion: number;
  /** A value is accepted for the version after it. */
  readonly pending: boolean;
  readonly barred: string;
}

/**
 * decided   everything acknowledged before is in this version or below it; 0: there is nothing
 * settle    a write may be acknowledged that no answer knows to be decided: a read settles it
 *
 * An acknowledged write is decided or accepted at two of three, so two answers cannot both miss it.
 */
type Newest =
  | { readonly state: "decided"; readonly version: number }
  | { readonly state: "settle" };

export function newestOf(answers: readonly Known[]): Newest {
  const counted = answers.filter((answer) => answer.barred === "");
  if (counted.length < 2) return { state: "settle" };
  const version = Math.max(...counted.map((answer) => answer.knownVersion));
  const isPending = counted.some((a) => a.pending && a.knownVersion + 1 > version);
  return isPending ? { state: "settle" } : { state: "decided", version };
}
