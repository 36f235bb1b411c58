/** What the caller's own inbox says of some messages, for services that show them. */
import {
  InboxData,
  makeViewReply,
  type ViewReply,
  type ViewRequest,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { RpcError } from "../../svrkit/errors.ts";

/** While versions are mixed: who does not know the method says that nothing lies there and nothing is hidden. */
export async function viewOf(
  inboxes: Callee,
  request: ViewRequest,
  options: CallOptions,
): Promise<ViewReply> {
  try {
    return await inboxes.call(InboxData.view, request, options);
  } catch (error) {
    if (RpcError.from(error).code !== "UNIMPLEMENTED") throw error;
    return makeViewReply({});
  }
}
