/** One replica's process: `node torture/replica-main.ts <briefing>`. Says on which port it listens. */
import { flushCompileCache } from "node:module";
import { configSchema } from "../services/kvsvr/config.ts";
import { openReplica } from "../services/kvsvr/open.ts";
import { type Bug, plantBug } from "../services/kvsvr/protocol/planted.ts";
import { systemFiles } from "../services/kvsvr/storage/files.ts";
import { Client, type ServiceAddress } from "../services/svrkit/client.ts";
import { createLogger } from "../services/svrkit/log.ts";
import { Server } from "../services/svrkit/server.ts";
import { watchForStops } from "../services/svrkit/stall.ts";

export interface ReplicaBriefing {
  readonly number: number;
  readonly campus: string;
  readonly dir: string;
  readonly addresses: readonly ServiceAddress[];
  readonly checkpointMs: number;
  readonly bug: Bug | undefined;
}

const briefing = JSON.parse(process.argv[2]!) as ReplicaBriefing;
const { number, campus, dir, addresses, checkpointMs, bug } = briefing;
plantBug(bug);
watchForStops();
// Nobody is left that would start it again, or look at what it did.
process.on("disconnect", () => process.exit(0));

const identity = { process: `${campus}/kvsvr`, campus };
const log = createLogger({ process: identity.process, level: "info" });
const server = new Server(identity, log);
const client = new Client(identity);
await openReplica({
  dir,
  number,
  campus,
  config: configSchema.parse({ checkpointMs }),
  callee: client.callee("kvsvr", addresses, { caller: "kvsvr", local: server }),
  server,
  log,
  files: systemFiles,
  fatal: (error) => {
    log.fatal({ err: error }, "a promise of the store is at risk: the replica stops");
    process.exit(70);
  },
  restart: () => process.exit(71),
});
// Written at exit otherwise, which kill -9 does not wait for.
flushCompileCache();
process.send?.(await server.listen({ host: "127.0.0.1", port: 0 }));
