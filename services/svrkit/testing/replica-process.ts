/**
 * An echo replica in a process of its own, as bad as it is told to be: forked with its campus as argument,
 * it sends its port, and takes {slowMs} (each answer waits) and {workMs} (each call costs so much CPU).
 * Told anything, it sends how many calls it has served.
 */
import { setTimeout as rest } from "node:timers/promises";
import { Echo } from "../../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { silentLogger } from "../log.ts";
import { Server } from "../server.ts";

export interface Badness {
  readonly slowMs?: number;
  readonly workMs?: number;
}

const campus = process.argv[2]!;
let served = 0;
let { slowMs, workMs }: Required<Badness> = { slowMs: 0, workMs: 0 };
process.on("message", (badness: Badness) => {
  slowMs = badness.slowMs ?? 0;
  workMs = badness.workMs ?? 0;
  process.send!(served);
});
process.on("disconnect", () => process.exit(0));

const server = new Server({ process: `${campus}/echo`, campus }, silentLogger());
server.add(Echo.echo, async (request) => {
  served += 1;
  const untilMs = performance.now() + workMs;
  while (performance.now() < untilMs) {} // this is the work
  if (slowMs > 0) await rest(slowMs);
  return request;
});
process.send!(await server.listen({ host: "127.0.0.1", port: 0 }));
