/** Wires the service "group-data". */
import { GroupData } from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { KvClient } from "../../kvsvr/client.ts";
import type { StartService } from "../../svrkit/context.ts";
import { groupDataOptions } from "./config.ts";
import { GroupDataHandlers } from "./handlers.ts";

export const start: StartService = async (context) => {
  const options = groupDataOptions.parse(context.options ?? {});
  const kv = KvClient.of(context);
  const handlers = new GroupDataHandlers({
    ...{ kv, tickets: context.tickets, options },
    inboxes: context.callee("inbox-data"),
  });
  const { server } = context;
  server.add(GroupData.create, (request, call) => handlers.create(request, call));
  server.add(GroupData.membership, (request, call) => handlers.membership(request, call));
  server.add(GroupData.read, (request, call) => handlers.read(request, call));
  server.add(GroupData.entryOutcomes, (request, call) => handlers.entryOutcomes(request, call));
  server.add(GroupData.apply, (request, call) => handlers.apply(request, call));
  server.add(GroupData.messages, (request, call) => handlers.messages(request, call));
  server.add(GroupData.erase, (request, call) => handlers.erase(request, call));
  server.add(GroupData.retain, (request, call) => handlers.retain(request, call));
  server.add(GroupData.markRead, (request, call) => handlers.markRead(request, call));
  server.add(GroupData.readPositions, (request, call) => handlers.readPositions(request, call));
};
