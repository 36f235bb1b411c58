/** Wires the service "inbox-data". */
import { InboxData } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { KvClient } from "../../kvsvr/client.ts";
import type { StartService } from "../../svrkit/context.ts";
import { inboxDataOptions } from "./config.ts";
import { InboxHandlers } from "./handlers.ts";

export const start: StartService = async (context) => {
  const options = inboxDataOptions.parse(context.options ?? {});
  const kv = KvClient.of(context);
  const handlers = new InboxHandlers(kv, context.tickets, options);
  const { server } = context;
  server.add(InboxData.commit, (request, call) => handlers.commit(request, call));
  server.add(InboxData.committed, (request, call) => handlers.committed(request, call));
  server.add(InboxData.deliver, (request, call) => handlers.deliver(request, call));
  server.add(InboxData.set, (request, call) => handlers.set(request, call));
  server.add(InboxData.deliverRead, (request, call) => handlers.deliverRead(request, call));
  server.add(InboxData.traces, (request, call) => handlers.traces(request, call));
  server.add(InboxData.erase, (request, call) => handlers.erase(request, call));
  server.add(InboxData.muted, (request, call) => handlers.muted(request, call));
  server.add(InboxData.retain, (request, call) => handlers.retain(request, call));
  server.add(InboxData.view, (request, call) => handlers.view(request, call));
  server.add(InboxData.changes, (request, call) => handlers.changes(request, call));
};
