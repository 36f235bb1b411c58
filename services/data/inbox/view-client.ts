/** What the caller's own inbox says of some messages, for services that show them. */
import {
  InboxData,
  makeViewReply,
  type ViewReply,
  type ViewRequest,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { orAsBefore } from "../../svrkit/version-before.ts";

/** The version before says that nothing lies there and nothing is hidden. */
export function viewOf(
  inboxes: Callee,
  request: ViewRequest,
  options: CallOptions,
): Promise<ViewReply> {
  return orAsBefore(inboxes.call(InboxData.view, request, options), () => makeViewReply({}));
}
