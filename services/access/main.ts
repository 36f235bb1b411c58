/** The access service: wiring and start. */
import { Push } from "../../protos/gen/tricampus/access/v1/push_codec.ts";
import { monotonicMs } from "../svrkit/call.ts";
import type { StartService } from "../svrkit/context.ts";
import { raiseIncarnation } from "../svrkit/ids.ts";
import { checkAccessConfig } from "./config.ts";
import { Connections } from "./connections.ts";
import { Door, refusalOf } from "./door.ts";
import { Forwarder } from "./forwarder.ts";
import { PushHandlers } from "./handlers.ts";
import { createHttp } from "./http.ts";
import { Registrar } from "./registrar.ts";
import { acceptWebSockets } from "./websocket.ts";

export const start: StartService = async (context) => {
  const config = checkAccessConfig(context.options);
  const { tickets, snapshots, campus, lifecycle, log } = context;
  const forwarder = new Forwarder((service) => context.callee(service), tickets);
  const registrar: Registrar = new Registrar({
    router: context.callee("router"),
    access: `${context.process}#${raiseIncarnation(context.dataDir)}`,
    campus,
    complete: () => connections.registered(),
  });
  const parts = { forwarder, tickets, snapshots, now: monotonicMs };
  const { connectionsMax: max, attachTimeoutMs, pingEveryMs } = config;
  const connections = new Connections({ max, attachTimeoutMs, pingEveryMs, registrar, parts });
  tickets.revocations?.onRevoked((userId) => connections.revoked(userId));
  const handlers = new PushHandlers(connections);
  context.server.add(Push.push, (request, call) => handlers.push(request, call));
  const door = new Door();
  const heed = () => {
    const block = context.blocks.find(campus, context.service);
    const reason = block && refusalOf(campus, block);
    if (reason === undefined) connections.stay();
    else if (!door.isClosed) connections.sendAway(reason, config.blockedLeaveOverMs);
    door.set(reason);
  };
  context.blocks.onChange(heed);
  heed();
  const http = createHttp(forwarder, { log, door });
  acceptWebSockets(http.server, connections, door);
  const address = await http.listen({ host: config.host, port: config.port, backlog: 1024 });
  log.info({ address }, "clients may connect");
  lifecycle.onStop("access", async () => {
    await connections.drain(config.leaveOverMs);
    registrar.stop();
    await http.close();
  });
};
