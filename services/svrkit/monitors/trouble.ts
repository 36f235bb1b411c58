/**
 * What people should know about this process, in words, by who says it. Read by Process/Status;
 * empty when all is well.
 */
const troubles = new Map<string, string>();

/** Says what is wrong, or with undefined that it is over. */
export function setTrouble(part: string, text: string | undefined): void {
  if (text === undefined) troubles.delete(part);
  else troubles.set(part, text);
}

export function readTrouble(): string {
  return [...troubles].map(([part, text]) => `${part}: ${text}`).join("; ");
}
