/** Dead letters: which are forgotten, and in parts that fit into one call, or one change of the store. Pure. */
import type { DeadLetter } from "../../../protos/gen/tricampus/queue/v1/queue_codec.ts";

export interface PartLimits {
  readonly letters: number;
  /** Of their payloads; one alone may have more. */
  readonly bytes: number;
}

/** In their order; none is empty. */
export function inParts(letters: readonly DeadLetter[], limits: PartLimits): DeadLetter[][] {
  const parts: DeadLetter[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const letter of letters) {
    bytes += letter.payload.length;
    if (bytes > limits.bytes || parts.at(-1)!.length === limits.letters) {
      parts.push([]);
      bytes = letter.payload.length;
    }
    parts.at(-1)!.push(letter);
  }
  return parts;
}

export interface LetterRules {
  readonly keepMs: number;
  /** Of payloads, all together. */
  readonly bytesMax: number;
}

/** What forgetting has to know of a letter. */
export interface LetterTrace {
  /** Of the table, when it was written: older letters have lower ones. */
  readonly version: number;
  readonly bytes: number;
  readonly buriedAtMs: number;
}

/** The version through which all letters are too old, or too much beside the newer ones; 0: none are. */
export function forgetThrough(
  letters: readonly LetterTrace[],
  { keepMs, bytesMax }: LetterRules,
  nowMs: number,
): number {
  let bytes = 0;
  for (const letter of letters.toSorted((a, b) => b.version - a.version)) {
    bytes += letter.bytes;
    if (bytes > bytesMax || letter.buriedAtMs < nowMs - keepMs) return letter.version;
  }
  return 0;
}
