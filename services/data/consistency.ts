/** How fresh a read must be, in the words of data access and in the store's. */
import { Consistency } from "../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";

export function levelOf(consistency: Consistency): Level {
  return consistency === Consistency.ANY ? Level.ANY : Level.STRONG;
}
