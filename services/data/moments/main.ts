/** Wires the service "moments-data". */
import { MomentsData } from "../../../protos/gen/tricampus/data/v1/moments_codec.ts";
import { KvClient } from "../../kvsvr/client.ts";
import type { StartService } from "../../svrkit/context.ts";
import { momentsDataOptions } from "./config.ts";
import { MomentsDataHandlers } from "./handlers.ts";
import { MomentPages } from "./pages.ts";
import { MomentSight } from "./sight.ts";

export const start: StartService = async (context) => {
  momentsDataOptions.parse(context.options ?? {});
  const { server, tickets, campuses } = context;
  const kv = KvClient.of(context);
  const sight = new MomentSight({ kv, tickets, contacts: context.callee("contact-data") });
  const handlers = new MomentsDataHandlers({ kv, sight, shares: campuses.length, now: Date.now });
  const pages = new MomentPages(kv, sight);
  server.add(MomentsData.post, (request, call) => handlers.post(request, call));
  server.add(MomentsData.deliver, (request, call) => handlers.deliver(request, call));
  server.add(MomentsData.open, (request, call) => handlers.open(request, call));
  server.add(MomentsData.close, (request, call) => handlers.close(request, call));
  server.add(MomentsData.timeline, (request, call) => pages.timeline(request, call));
  server.add(MomentsData.of, (request, call) => pages.of(request, call));
  server.add(MomentsData.get, (request, call) => pages.get(request, call));
  server.add(MomentsData.like, (request, call) => handlers.like(request, call));
  server.add(MomentsData.comment, (request, call) => handlers.comment(request, call));
  server.add(MomentsData.deleteComment, (request, call) => handlers.deleteComment(request, call));
  server.add(MomentsData.delete, (request, call) => handlers.delete(request, call));
  server.add(MomentsData.retain, (request, call) => handlers.retain(request, call));
  server.add(MomentsData.erase, (request, call) => handlers.erase(request, call));
};
