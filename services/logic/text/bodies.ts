/** Texts and voices that lie in a group's table alone (fanout/plan/body.ts). */
import type { InboxMessage } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { BodiesRequest } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import {
  GroupData,
  makeGroupMessagesRequest,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { requireArgument } from "../../svrkit/errors.ts";
import { requireId } from "../arguments.ts";

const BODIES_MAX = 50;
/** A reply ends when it is about so large. */
const REPLY_BYTES = 512 * 1024;

/** In the order asked for; the caller's ticket must be a member's. */
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
  for (let bytes = 0, at = 0; at < sequences.length && bytes < REPLY_BYTES; at++) {
    const afterSequence = sequences[at]! - 1;
    requireArgument(afterSequence >= 0, "messages are numbered from 1");
    const request = makeGroupMessagesRequest({ groupId, afterSequence, limit: 1 });
    const page = await groups.call(GroupData.messages, request, options);
    const message = page.messages.find((one) => one.sequence === sequences[at]);
    if (message === undefined) continue;
    found.push(message);
    bytes += message.text.length + dataBytes(message);
  }
  return found;
}

function dataBytes({ content }: InboxMessage): number {
  const body = content?.body;
  return body?.case === "voice" || body?.case === "custom" ? body.value.data.length : 0;
}
