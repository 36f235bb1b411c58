/** Wires the service "group". */
import { Group } from "../../../protos/gen/tricampus/client/v1/group_codec.ts";
import type { StartService } from "../../svrkit/context.ts";
import { IdMaker, raiseIncarnation } from "../../svrkit/ids.ts";
import { GroupStreams } from "../group-streams.ts";
import { GroupChanges } from "./changes.ts";
import { groupOptions } from "./config.ts";
import { GroupHandlers } from "./handlers.ts";
import { Invitations } from "./invitations.ts";

export const start: StartService = async (context) => {
  const { membersMax, inviteExpiresMs } = groupOptions.parse(context.options ?? {});
  const { dc, campus, tickets, server } = context;
  const incarnation = raiseIncarnation(context.dataDir);
  const groups = context.callee("group-data");
  const contacts = context.callee("contact");
  const changes = new GroupChanges({
    tickets,
    ids: new IdMaker({ dc, campus, letter: "e", incarnation }),
    groups,
    streams: new GroupStreams(context.callee("queue")),
  });
  const handlers = new GroupHandlers({ tickets, changes, dc, groups, contacts, membersMax });
  const invitations = new Invitations({
    ...{ tickets, changes, groups, membersMax, inviteExpiresMs },
    text: context.callee("text"),
    contacts,
  });
  server.add(Group.create, (request, call) => handlers.create(request, call));
  server.add(Group.get, (request, call) => handlers.get(request, call));
  server.add(Group.listMembers, (request, call) => handlers.listMembers(request, call));
  server.add(Group.join, (request, call) => handlers.join(request, call));
  server.add(Group.leave, (request, call) => handlers.leave(request, call));
  server.add(Group.invite, (request, call) => invitations.invite(request, call));
  server.add(Group.acceptInvite, (request, call) => handlers.acceptInvite(request, call));
  server.add(Group.kick, (request, call) => handlers.kick(request, call));
  server.add(Group.transfer, (request, call) => handlers.transfer(request, call));
  server.add(Group.setAdmin, (request, call) => handlers.setAdmin(request, call));
  server.add(Group.mute, (request, call) => handlers.mute(request, call));
  server.add(Group.muteAll, (request, call) => handlers.muteAll(request, call));
  server.add(Group.setProfile, (request, call) => handlers.setProfile(request, call));
  server.add(Group.setNickname, (request, call) => handlers.setNickname(request, call));
  server.add(Group.dismiss, (request, call) => handlers.dismiss(request, call));
};
