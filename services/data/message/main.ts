/** Wires the service "message-data". */
import { MessageData } from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import { KvClient } from "../../kvsvr/client.ts";
import type { StartService } from "../../svrkit/context.ts";
import { messageDataOptions } from "./config.ts";
import { MessageHandlers } from "./handlers.ts";

export const start: StartService = async (context) => {
  const options = messageDataOptions.parse(context.options ?? {});
  const kv = KvClient.of(context);
  const handlers = new MessageHandlers(kv, context.tickets, options);
  const { server } = context;
  server.add(MessageData.append, (request, call) => handlers.append(request, call));
  server.add(MessageData.read, (request, call) => handlers.read(request, call));
  server.add(MessageData.erase, (request, call) => handlers.erase(request, call));
  server.add(MessageData.retain, (request, call) => handlers.retain(request, call));
  server.add(MessageData.sequences, (request, call) => handlers.sequences(request, call));
};
