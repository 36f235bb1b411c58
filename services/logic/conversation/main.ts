/** Wires the service "conversation". */
import { Conversation } from "../../../protos/gen/tricampus/client/v1/conversation_codec.ts";
import type { StartService } from "../../svrkit/context.ts";
import { Notifier } from "../notify/notifier.ts";
import { conversationOptions } from "./config.ts";
import { ConversationHandlers } from "./handlers.ts";
import { tellsReading } from "./receipts.ts";

export const start: StartService = async (context) => {
  const { receipts } = conversationOptions.parse(context.options ?? {});
  const { tickets, server } = context;
  const handlers = new ConversationHandlers({
    tickets,
    inboxes: context.callee("inbox-data"),
    groups: context.callee("group-data"),
    messages: context.callee("message-data"),
    notifier: new Notifier(context),
    tells: tellsReading(context.callee("account-data"), receipts),
  });
  server.add(Conversation.set, (request, call) => handlers.set(request, call));
  server.add(Conversation.readBy, (request, call) => handlers.readBy(request, call));
  server.add(Conversation.history, (request, call) => handlers.history(request, call));
};
