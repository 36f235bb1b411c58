/** Wires the service "sync". */
import { Sync } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { StartService } from "../../svrkit/context.ts";
import { syncOptions } from "./config.ts";
import { Confirmations } from "./confirmations.ts";
import { SyncHandlers } from "./handlers.ts";
import { OtherParts } from "./other-parts.ts";
import { OwnMessages } from "./own-messages.ts";

export const start: StartService = async (context) => {
  const options = syncOptions.parse(context.options ?? {});
  const { tickets, snapshots, server, lifecycle, log } = context;
  const confirmations = new Confirmations(context.callee("account-data"), log, {
    everyMs: options.confirmEveryMs,
    sizeMax: options.confirmationsMax,
  });
  const own = new OwnMessages({
    messages: context.callee("message-data"),
    groups: context.callee("group-data"),
    text: context.callee("text"),
    log,
    finishesInFlightMax: options.finishesInFlightMax,
  });
  const inboxes = context.callee("inbox-data");
  const otherParts = new OtherParts({
    accounts: context.callee("account-data"),
    contacts: context.callee("contact-data"),
    reaching: context.callee("contact"),
  });
  const parts = { tickets, snapshots, inboxes, own, otherParts, confirmations };
  const handlers = new SyncHandlers(parts);
  server.add(Sync.sync, (request, call) => handlers.sync(request, call));
  lifecycle.onStop("sync: confirmations", () => confirmations.stop());
};
