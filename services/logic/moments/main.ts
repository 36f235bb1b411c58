/** Wires the service "moments". */
import { Moments } from "../../../protos/gen/tricampus/client/v1/moments_codec.ts";
import type { StartService } from "../../svrkit/context.ts";
import { momentsOptions } from "./config.ts";
import { Deliveries } from "./deliveries.ts";
import { MomentsHandlers } from "./handlers.ts";

export const start: StartService = async (context) => {
  const { fanoutMax, sweepEveryMs, stoppedAfterMs } = momentsOptions.parse(context.options ?? {});
  const { server, tickets, lifecycle, log, campus, campuses } = context;
  const moments = context.callee("moments-data");
  const deliveries = new Deliveries({
    ...{ moments, log, stoppedAfterMs, everyMs: sweepEveryMs, now: Date.now },
    ...{ own: campuses.indexOf(campus), campuses: campuses.length },
  });
  const contacts = context.callee("contact-data");
  const media = context.callee("media-data");
  const parts = { tickets, moments, contacts, media, deliveries, fanoutMax, now: Date.now };
  const handlers = new MomentsHandlers(parts);
  server.add(Moments.post, (request, call) => handlers.post(request, call));
  server.add(Moments.timeline, (request, call) => handlers.timeline(request, call));
  server.add(Moments.of, (request, call) => handlers.of(request, call));
  server.add(Moments.get, (request, call) => handlers.get(request, call));
  server.add(Moments.like, (request, call) => handlers.like(request, call));
  server.add(Moments.comment, (request, call) => handlers.comment(request, call));
  server.add(Moments.deleteComment, (request, call) => handlers.deleteComment(request, call));
  server.add(Moments.delete, (request, call) => handlers.delete(request, call));
  server.add(Moments.imageUrl, (request, call) => handlers.imageUrl(request, call));
  lifecycle.onStop("moments: deliveries", () => deliveries.stop());
};
