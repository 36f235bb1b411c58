/** One replica of the benchmarks as a process of its own: `--number`, `--dir`, `--ports` of all three. */
import { parseArgs } from "node:util";
import { configSchema } from "../services/kvsvr/config.ts";
import { openReplica } from "../services/kvsvr/open.ts";
import { systemFiles } from "../services/kvsvr/storage/files.ts";
import { Client } from "../services/svrkit/client.ts";
import { createLogger } from "../services/svrkit/log.ts";
import { readMonitors } from "../services/svrkit/monitors/monitor.ts";
import { Server } from "../services/svrkit/server.ts";
import { addressesOf, type Facts } from "./replica-processes.ts";

const { values } = parseArgs({
  options: {
    number: { type: "string", default: "0" },
    dir: { type: "string", default: "" },
    ports: { type: "string", default: "" },
    config: { type: "string", default: "{}" },
  },
});

const number = Number(values.number);
const addresses = addressesOf(values.ports.split(",").map(Number));
const { campus, host, port } = addresses[number]!;
const identity = { process: `${campus}/kvsvr`, campus };
const log = createLogger({ process: identity.process, level: "warn" });
const server = new Server(identity, log);
const client = new Client(identity);
const { replica } = await openReplica({
  dir: values.dir,
  number,
  campus,
  config: configSchema.parse(JSON.parse(values.config)),
  callee: client.callee("kvsvr", addresses, { caller: "kvsvr", local: server }),
  server,
  log,
  files: systemFiles,
  fatal: (error) => {
    throw error;
  },
  restart: () => process.exit(1),
});
await server.listen({ host, port });
process.on("disconnect", () => process.exit(0));
process.on("message", () => process.send?.(facts()));
process.send?.(facts());

function facts(): Facts {
  const { user, system } = process.cpuUsage();
  return {
    counters: Object.fromEntries(readMonitors().map(({ name, value }) => [name, value])),
    cpuMs: (user + system) / 1_000,
    isServing: replica?.isServing === true,
    memory: { ...process.memoryUsage(), ...replica?.state.memory },
  };
}
