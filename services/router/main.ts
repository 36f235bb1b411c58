/** The router: wiring and start. */
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import type { StartService } from "../svrkit/context.ts";
import { checkRouterConfig } from "./config.ts";
import { EmbeddedRouter } from "./embedded.ts";
import { RouterHandlers } from "./handlers.ts";

export const start: StartService = async (context) => {
  const handlers = new RouterHandlers(
    new EmbeddedRouter(checkRouterConfig(context.options)),
    Date.now,
  );
  context.server.add(Router.register, (request, call) => handlers.register(request, call));
  context.server.add(Router.lookup, (request) => handlers.lookup(request));
  context.server.add(Router.count, () => handlers.count());
};
