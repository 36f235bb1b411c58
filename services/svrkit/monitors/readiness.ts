/**
 * Whether this process may be counted on: each part that can be up and yet not of use says why, at the
 * moment it is asked. Read by the health door and by Process/Status; a part that serves clients at
 * once when it is up says nothing.
 */
const parts = new Map<string, () => string | undefined>();

/** `why` returns what is missing, or undefined when the part serves and holds all it should. */
export function reportReadiness(part: string, why: () => string | undefined): void {
  parts.set(part, why);
}

/** What keeps this process from being counted on; empty when nothing does. */
export function readUnreadiness(): string {
  const reasons = [...parts].flatMap(([part, why]) => {
    const reason = why();
    return reason === undefined ? [] : [`${part}: ${reason}`];
  });
  return reasons.join("; ");
}
