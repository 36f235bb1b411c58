/** Wires the service "group". */
import { Group } from "../../../protos/gen/tricampus/client/v1/group_codec.ts";
import type { StartService } from "../../svrkit/context.ts";
import { IdMaker, raiseIncarnation } from "../../svrkit/ids.ts";
import { GroupStreams } from "../group-streams.ts";
import { groupOptions } from "./config.ts";
import { GroupHandlers } from "./handlers.ts";

export const start: StartService = async (context) => {
  const { membersMax } = groupOptions.parse(context.options ?? {});
  const { dc, campus, tickets, server } = context;
  const incarnation = raiseIncarnation(context.dataDir);
  const handlers = new GroupHandlers({
    tickets,
    ids: new IdMaker({ dc, campus, letter: "e", incarnation }),
    dc,
    groups: context.callee("group-data"),
    streams: new GroupStreams(context.callee("queue")),
    membersMax,
  });
  server.add(Group.create, (request, call) => handlers.create(request, call));
  server.add(Group.join, (request, call) => handlers.join(request, call));
  server.add(Group.leave, (request, call) => handlers.leave(request, call));
  server.add(Group.listMembers, (request, call) => handlers.listMembers(request, call));
};
