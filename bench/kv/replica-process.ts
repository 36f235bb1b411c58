/**
 * One replica of the benchmark's group: `node bench/kv/replica-process.ts NUMBER DIR`, forked by
 * processes.ts. It tells its port, is told all addresses, and answers "facts" and "stop".
 */
import { configSchema } from "../../services/kvsvr/config.ts";
import { openReplica } from "../../services/kvsvr/open.ts";
import type { StateEngine } from "../../services/kvsvr/storage/engine.ts";
import { type Files, systemFiles } from "../../services/kvsvr/storage/files.ts";
import { openLmdb } from "../../services/kvsvr/storage/lmdb.ts";
import { usageOf } from "../../services/platform/process-usage.ts";
import { Client, type ServiceAddress } from "../../services/svrkit/client.ts";
import { createLogger } from "../../services/svrkit/log.ts";
import { readMonitors } from "../../services/svrkit/monitors/monitor.ts";
import { Server } from "../../services/svrkit/server.ts";
import { CAMPUSES, type Facts } from "./processes.ts";
import { StallRecorder } from "./stalls.ts";

const number = Number(process.argv[2]);
const dir = process.argv[3]!;
const campus = CAMPUSES[number]!;
const identity = { process: `${campus}/kvsvr`, campus };
const log = createLogger({ process: identity.process, level: "warn" });
const stalls = new StallRecorder();
const server = new Server(identity, log);
const port = await server.listen({ host: "127.0.0.1", port: 0 });
process.on("disconnect", () => process.exit(0));
const addresses = await new Promise<ServiceAddress[]>((resolve) => {
  process.once("message", (message) => resolve(message as ServiceAddress[]));
  process.send?.(port);
});
const client = new Client(identity);
const opened = await openReplica({
  dir,
  number,
  campus,
  config: configSchema.parse({}),
  callee: client.callee("kvsvr", addresses, { caller: "kvsvr", local: server }),
  server,
  log,
  files: watchedFiles(),
  engine: watchedEngine,
  fatal: (error) => {
    throw error;
  },
  restart: () => process.exit(1),
});
process.on("message", (message) => {
  if (message === "facts") process.send?.(facts());
  else if (message === "stop") void stop();
});
process.send?.("open");

function facts(): Facts {
  return {
    counters: readMonitors().map(({ name, value }) => [name, value] as const),
    stalls: stalls.take(),
    usage: usageOf(process.pid),
    isServing: opened.replica?.isServing === true,
  };
}

/** Writes everything down, and tells what it cost in all. */
async function stop(): Promise<void> {
  client.stop();
  await server.stop();
  await opened.stop();
  stalls.stop();
  process.send?.(facts(), () => process.exit(0));
}

function watchedFiles(): Files {
  return {
    ...systemFiles,
    async open(path) {
      const file = await systemFiles.open(path);
      return { ...file, sync: () => stalls.timed("a sync of the log", () => file.sync()) };
    },
  };
}

function watchedEngine(path: string): StateEngine {
  const engine = openLmdb(path);
  const commit = engine.commit.bind(engine);
  engine.commit = (entries) => stalls.timed("a checkpoint's commit", () => commit(entries));
  return engine;
}
