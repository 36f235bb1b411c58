/** The access service: wiring and start. */
import type { Server as TlsServer } from "node:tls";
import { Push } from "../../protos/gen/tricampus/access/v1/push_codec.ts";
import { TokenBuckets } from "../svrkit/admission/token-buckets.ts";
import { monotonicMs } from "../svrkit/call.ts";
import { inForce, onLimits } from "../svrkit/config/limits-in-force.ts";
import type { StartService } from "../svrkit/context.ts";
import { raiseIncarnation } from "../svrkit/ids.ts";
import type { Logger } from "../svrkit/log.ts";
import { Sampler } from "../svrkit/tracing/sampler.ts";
import { earliestArrivalMs } from "../svrkit/transport/arrival.ts";
import { type AccessConfig, checkAccessConfig } from "./config.ts";
import { Connections } from "./connections.ts";
import { Door, refusalOf } from "./door.ts";
import { type DoorFiles, readDoorFiles, watchDoorFiles } from "./door-certificate.ts";
import { Forgeries } from "./forgeries.ts";
import { Forwarder } from "./forwarder.ts";
import { acceptFramed } from "./framed-tcp.ts";
import { PushHandlers } from "./handlers.ts";
import { boundSockets, createHttp } from "./http.ts";
import {
  FINISH_MS,
  SOCKETS_BESIDE,
  SOCKETS_PER_CONNECTION,
  UNATTACHED_GRACE_MS,
} from "./limits.ts";
import { acceptLongPolls } from "./long-poll.ts";
import { serveMedia } from "./media.ts";
import { Registrar } from "./registrar.ts";
import { sessionMethods } from "./session.ts";
import { acceptWebSockets } from "./websocket.ts";

export const start: StartService = async (context) => {
  const config = checkAccessConfig(context.options);
  const { tickets, snapshots, campus, lifecycle, log } = context;
  const callee = (service: string) => context.callee(service);
  const { sampler, rates, forget } = limited(config);
  lifecycle.onStop("limits", forget);
  const forwarder = new Forwarder({
    ...{ callee, tickets, rates, sampler, log },
    ...{ now: monotonicMs, arrived: earliestArrivalMs, server: context.server },
    own: sessionMethods({
      ...{ callee, endpoints: config.endpoints },
      isClosed: (name) => context.blocks.find(name, context.service) !== undefined,
    }),
  });
  const registrar: Registrar = new Registrar({
    router: context.callee("router"),
    access: `${context.process}#${raiseIncarnation(context.dataDir)}`,
    campus,
    complete: () => connections.registered(),
  });
  const forgeries = new Forgeries(monotonicMs);
  const parts = { forwarder, tickets, forgeries, snapshots, now: monotonicMs };
  const { connectionsMax: max, attachTimeoutMs, pingEveryMs } = config;
  const connections = new Connections({
    ...{ max, userMax: config.userConnectionsMax },
    ...{ attachTimeoutMs, pingEveryMs, registrar, parts },
  });
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
  const doorTls = config.tls && readDoorFiles(config.tls);
  const { origins } = config;
  const http = createHttp(forwarder, { forgeries, log, door, tls: doorTls, origins });
  acceptLongPolls(http, connections);
  serveMedia(http, { media: context.callee("media-data"), forwarder });
  acceptWebSockets(http.server, connections, door);
  const endSilent = acceptFramed(
    http.server,
    config.tls ? "secureConnection" : "connection",
    connections,
    door,
  );
  const socketsMax = SOCKETS_PER_CONNECTION * max + SOCKETS_BESIDE;
  boundSockets(http.server, socketsMax, () => endSilent(UNATTACHED_GRACE_MS));
  const address = await http.listen({ host: config.host, port: config.port, backlog: 1024 });
  const unwatch = config.tls && watchDoor(config.tls, http.server as unknown as TlsServer, log);
  log.info({ address }, "clients may connect");
  lifecycle.onStop("access", async () => {
    door.set("this process stops: connect to another campus");
    await connections.drain(config.leaveOverMs);
    registrar.stop();
    unwatch?.();
    endSilent(0);
    const force = setTimeout(() => http.server.closeAllConnections(), FINISH_MS);
    await http.close();
    clearTimeout(force);
  });
};

/** What limits clients, as configured, or as the limits in force say instead. */
function limited({ traceShare, userRequestsPerSecond, userBurst }: AccessConfig) {
  const sampler = new Sampler(traceShare);
  const rates = new TokenBuckets({ perSecond: userRequestsPerSecond, burst: userBurst });
  const forget = onLimits(() => {
    sampler.setShare(inForce.traceShare ?? traceShare);
    rates.setRates({
      perSecond: inForce.userRequestsPerSecond ?? userRequestsPerSecond,
      burst: inForce.userBurst ?? userBurst,
    });
  });
  return { sampler, rates, forget };
}

function watchDoor(files: DoorFiles, server: TlsServer, log: Logger): () => void {
  return watchDoorFiles(files, { log, renew: (options) => server.setSecureContext(options) });
}
