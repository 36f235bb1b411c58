/** Wires the service "text". */
import { join } from "node:path";
import { Text } from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import { Finishing } from "../../../protos/gen/tricampus/logic/v1/finish_codec.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import type { ServiceContext, StartService } from "../../svrkit/context.ts";
import { IdMaker, raiseIncarnation } from "../../svrkit/ids.ts";
import { setTrouble } from "../../svrkit/monitors/trouble.ts";
import { requireService } from "../arguments.ts";
import { GroupStreams } from "../group-streams.ts";
import { followedHookSecret } from "../hook-endpoint.ts";
import { HookStreams } from "../hook-streams.ts";
import { Notifier } from "../notify/notifier.ts";
import { BeforeSend } from "./before-send.ts";
import { Carrier } from "./carrier.ts";
import { type TextOptions, textOptions } from "./config.ts";
import { TextHandlers } from "./handlers.ts";
import { sendMany } from "./many.ts";
import { OpenSends, witnessOrder } from "./open-sends.ts";
import { Recalls } from "./recalls.ts";
import { Witness } from "./witness.ts";

export const start: StartService = async (context) => {
  const options = textOptions.parse(context.options ?? {});
  const { dc, campus, campuses, tickets, server, lifecycle } = context;
  const inboxes = context.callee("inbox-data");
  const incarnation = raiseIncarnation(context.dataDir);
  const groups = context.callee("group-data");
  const messages = context.callee("message-data");
  const handlers = new TextHandlers({
    tickets,
    ids: new IdMaker({ dc, campus, letter: "m", incarnation }),
    accounts: context.callee("account-data"),
    groups,
    contacts: context.callee("contact"),
    inboxes,
    recalls: new Recalls({ messages, groups, ...options }),
    carrier: new Carrier({
      inboxes,
      messages,
      streams: new GroupStreams(context.callee("queue")),
      notifier: new Notifier(context),
      hooks: new HookStreams(context.callee("queue"), options.hooks),
      marksRememberedMax: options.marksRememberedMax,
    }),
    openSends: new OpenSends({
      witnesses: context.callee("text"),
      order: witnessOrder(campuses, campus),
    }),
    unfinishedMax: options.unfinishedMax,
    groupBacklogMax: options.groupBacklogMax,
    beforeSend: options.beforeSend && hookOf(options.beforeSend, context),
  });
  const witness = new Witness({
    path: join(context.dataDir, "open-sends"),
    sizeMax: options.witnessedMax,
    sweepAfterMs: options.sweepAfterMs,
    now: monotonicMs,
    finish: (send) => handlers.finishWitnessed(send),
    onTrouble: (why) =>
      setTrouble(
        "text",
        why && `the disk takes no writes (${why}): free space or make it writable`,
      ),
  });
  server.add(Text.send, (request, call) => handlers.send(request, call));
  server.add(Text.sendMany, (request, call) =>
    sendMany(request, (one) => handlers.send(one, call)),
  );
  server.add(Text.recall, (request, call) => handlers.recall(request, call));
  server.add(Text.bodies, (request, call) => handlers.bodies(request, call));
  server.add(Finishing.finish, (request, call) => handlers.finish(request, call));
  server.add(Finishing.witness, (request, call) => {
    requireService(call, ["text"], "witnessing sends");
    witness.take(request);
    return {};
  });
  lifecycle.onStop("text: witnessed sends", () => witness.stop());
  lifecycle.onStop("text: unfinished sends", () => handlers.stop());
};

function hookOf(
  { secretFile, ...rest }: NonNullable<TextOptions["beforeSend"]>,
  context: ServiceContext,
): BeforeSend {
  const secret = followedHookSecret("beforeSend", secretFile, context);
  return new BeforeSend({ ...rest, secret, now: Date.now });
}
