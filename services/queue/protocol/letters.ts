/** Dead letters, in parts that fit into one call, or one change of the store. Pure. */
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
