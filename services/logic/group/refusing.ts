/** Who of some users does not let the caller make it a member of a group. */
import {
  MayReplyRefusal,
  MayRequestWhat,
  Reaching,
} from "../../../protos/gen/tricampus/logic/v1/reach_codec.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";

export async function refusingInvitations(
  contacts: Callee,
  userIds: readonly string[],
  options: CallOptions,
): Promise<ReadonlySet<string>> {
  const what = MayRequestWhat.INVITE;
  const replies = await Promise.all(
    userIds.map((userId) => contacts.call(Reaching.may, { userId, what }, options)),
  );
  return new Set(userIds.filter((_, i) => replies[i]!.refusal !== MayReplyRefusal.UNSPECIFIED));
}
