/** Which calls come to a campus because callers chose it: what a block must bring to an end. */
import type { StatusReply } from "../protos/gen/tricampus/svrkit/v1/process_codec.ts";

/**
 * What goes on in a blocked campus: replication and votes, soft state kept for later, its workers
 * asking their own queue, what only asks how it is, and pushes to clients that have not left yet.
 */
const NOT_ROUTED =
  /^(Replica|Log|Process)\/|^Router\/Register$|^Queue\/(Poll|Consumed|Adopt)$|^Push\/Push$/;

/** By method: how many have come since the process started. */
export function routedCalls({ methods }: StatusReply): Map<string, number> {
  return new Map(
    methods
      .filter(({ name, arrived }) => arrived > 0 && !NOT_ROUTED.test(name))
      .map(({ name, arrived }) => [name, arrived]),
  );
}
