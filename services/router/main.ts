/** The router: wiring and start. */
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import type { ServiceContext, StartService } from "../svrkit/context.ts";
import { reportReadiness } from "../svrkit/monitors/readiness.ts";
import { checkRouterConfig } from "./config.ts";
import { EmbeddedRouter } from "./embedded.ts";
import { INCOMPLETE_MS, type RouterEngine } from "./engine.ts";
import { RouterHandlers } from "./handlers.ts";
import { RedisRouter } from "./redis.ts";

export const start: StartService = async (context) => {
  const handlers = new RouterHandlers(openEngine(context), Date.now);
  context.server.add(Router.register, (request, call) => handlers.register(request, call));
  context.server.add(Router.lookup, (request) => handlers.lookup(request));
  context.server.add(Router.count, () => handlers.count());
};

function openEngine({
  options,
  campus,
  dc,
  service,
  lifecycle,
  log,
}: ServiceContext): RouterEngine {
  const { engine, connectionsMax } = checkRouterConfig(options);
  const incompleteMs = INCOMPLETE_MS;
  if (engine.kind === "embedded") return new EmbeddedRouter({ connectionsMax, incompleteMs });
  const { servers, secretsDir } = engine;
  const url = servers[campus];
  if (url === undefined) throw new Error(`engine.servers: there is none of campus ${campus}`);
  const router = new RedisRouter({
    ...{ connectionsMax, url, secretsDir, incompleteMs },
    prefix: `tricampus:${dc}:${campus}:`,
    log: log.child({ service }),
  });
  reportReadiness(service, () => router.silent);
  lifecycle.onStop(service, () => router.close());
  return router;
}
