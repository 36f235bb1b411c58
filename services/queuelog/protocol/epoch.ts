/** Epochs of writers: ordered by round, then by writer. The order decides who may write a stream. */
import type { Epoch } from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";

/** Below every epoch that a writer takes. */
export const NO_EPOCH: Epoch = { round: 0, writer: "" };

export function compareEpochs(a: Epoch, b: Epoch): number {
  if (a.round !== b.round) return a.round - b.round;
  return a.writer < b.writer ? -1 : a.writer > b.writer ? 1 : 0;
}
