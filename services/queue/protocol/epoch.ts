/**
 * Epochs of writers. Ordered by round, then by writer, as every log orders them (services/queuelog).
 *
 *   writer = campus "." incarnation "." opening      "b.12.7"
 *
 * The incarnation is unique per start of the campus's queue process and the opening per attempt to
 * open a stream, so no two writers ever share an epoch, not even two of one process.
 */
import type { Epoch } from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";

export const NO_EPOCH: Epoch = { round: 0, writer: "" };

export function compareEpochs(a: Epoch, b: Epoch): number {
  if (a.round !== b.round) return a.round - b.round;
  return a.writer < b.writer ? -1 : a.writer > b.writer ? 1 : 0;
}

export function highestEpoch(epochs: readonly (Epoch | undefined)[]): Epoch {
  let highest = NO_EPOCH;
  for (const epoch of epochs) {
    if (epoch !== undefined && compareEpochs(epoch, highest) > 0) highest = epoch;
  }
  return highest;
}

export function campusOf(epoch: Epoch): string {
  return epoch.writer.split(".")[0]!;
}
