import type { FetchVotesReply } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { RpcError } from "../svrkit/errors.ts";

/**
 * What votes on a key have left behind at another replica, part by part, its loose changes from above a version;
 * UNAVAILABLE when that replica is barred.
 */
export async function* leftVotes(
  ask: (aboveVersion: number) => Promise<FetchVotesReply>,
  above = 0,
): AsyncGenerator<FetchVotesReply> {
  for (let aboveVersion = above, more = true; more; ) {
    const reply = await ask(aboveVersion);
    if (reply.barred !== "") throw new RpcError("UNAVAILABLE", reply.barred);
    yield reply;
    more = reply.more;
    aboveVersion = reply.looseThrough;
  }
}
