/** Texts and voices that lie in a group's table alone (fanout/plan/body.ts). */
import {
  encodeInboxMessage,
  type InboxMessage,
} from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { BodiesRequest } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import {
  GroupData,
  makeGroupMessagesRequest,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { toBytes } from "../../svrkit/codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import { requireId } from "../arguments.ts";

const BODIES_MAX = 50;
/** A reply ends when it is about so large. */
const REPLY_BYTES = 512 * 1024;

/** In the order asked for; for members, and for whom they were delivered to. Refuses when it is none of them. */
export async function readBodies(
  groups: Callee,
  { groupId, sequences }: BodiesRequest,
  options: CallOptions,
): Promise<InboxMessage[]> {
  requireId(groupId, "a group id");
  requireArgument(
    sequences.length >= 1 && sequences.length <= BODIES_MAX,
    `1 to ${BODIES_MAX} bodies can be asked for at once`,
  );
  const found: InboxMessage[] = [];
  let refusal: RpcError | undefined;
  for (let bytes = 0, at = 0; at < sequences.length && bytes < REPLY_BYTES; at++) {
    const afterSequence = sequences[at]! - 1;
    requireArgument(afterSequence >= 0, "messages are numbered from 1");
    const request = makeGroupMessagesRequest({ groupId, afterSequence, limit: 1, held: true });
    const page = await groups.call(GroupData.messages, request, options).catch((error) => {
      refusal = RpcError.from(error);
      if (!["PERMISSION_DENIED", "NOT_FOUND"].includes(refusal.code)) throw refusal;
      return { messages: [] };
    });
    const message = page.messages.find((one) => one.sequence === sequences[at]);
    if (message === undefined) continue;
    found.push(message);
    bytes += toBytes(encodeInboxMessage, message).length;
  }
  if (found.length === 0 && refusal !== undefined) throw refusal;
  return found;
}
