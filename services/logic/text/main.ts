/** Wires the service "text". */
import { Text } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import { Finishing } from "../../../protos/gen/tricampus/logic/v1/finish_codec.ts";
import type { StartService } from "../../svrkit/context.ts";
import { IdMaker, raiseIncarnation } from "../../svrkit/ids.ts";
import { GroupStreams } from "../group-streams.ts";
import { Notifier } from "../notify/notifier.ts";
import { Carrier } from "./carrier.ts";
import { textOptions } from "./config.ts";
import { TextHandlers } from "./handlers.ts";

export const start: StartService = async (context) => {
  const options = textOptions.parse(context.options ?? {});
  const { dc, campus, tickets, server, lifecycle } = context;
  const inboxes = context.callee("inbox-data");
  const incarnation = raiseIncarnation(context.dataDir);
  const handlers = new TextHandlers({
    tickets,
    ids: new IdMaker({ dc, campus, letter: "m", incarnation }),
    accounts: context.callee("account-data"),
    groups: context.callee("group-data"),
    inboxes,
    carrier: new Carrier({
      inboxes,
      messages: context.callee("message-data"),
      streams: new GroupStreams(context.callee("queue")),
      notifier: new Notifier(context),
      marksRememberedMax: options.marksRememberedMax,
    }),
    unfinishedMax: options.unfinishedMax,
  });
  server.add(Text.send, (request, call) => handlers.send(request, call));
  server.add(Finishing.finish, (request, call) => handlers.finish(request, call));
  lifecycle.onStop("text: unfinished sends", () => handlers.stop());
};
