/**
 * svrkit echo: one client and one server process, 256 B, 256 calls in flight, over TCP on loopback.
 *
 *   node bench/echo.ts [--seconds 5] [--inflight 256] [--bytes 256]
 */
import { fork } from "node:child_process";
import { parseArgs } from "node:util";
import { Echo } from "../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { monotonicMs } from "../services/svrkit/call.ts";
import { Client } from "../services/svrkit/client.ts";
import { silentLogger } from "../services/svrkit/log.ts";
import { newOperationId } from "../services/svrkit/operation-id.ts";
import { Server } from "../services/svrkit/server.ts";
import { percentile } from "./percentile.ts";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "5" },
    inflight: { type: "string", default: "256" },
    bytes: { type: "string", default: "256" },
    serve: { type: "boolean", default: false },
  },
});

if (values.serve) await serve();
else await measure();

async function serve(): Promise<void> {
  const server = new Server({ process: "bench/echo", campus: "b" }, silentLogger());
  server.add(Echo.echo, (request) => request);
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  process.send?.(port);
  process.on("disconnect", () => process.exit(0));
}

async function measure(): Promise<void> {
  const child = fork(import.meta.filename, ["--serve"]);
  const port = await new Promise<number>((resolve) =>
    child.once("message", (p) => resolve(Number(p))),
  );
  const client = new Client({ process: "bench/client", campus: "a" });
  const echo = client.callee("echo", [{ campus: "b", host: "127.0.0.1", port }], {
    caller: "bench",
  });
  const payload = Buffer.alloc(Number(values.bytes), 7);
  const latencies: number[] = [];
  const warmUpUntil = monotonicMs() + 1_000;
  const until = warmUpUntil + Number(values.seconds) * 1_000;
  const loop = async () => {
    for (let now = monotonicMs(); now < until; ) {
      const started = now;
      const reply = await echo.call(Echo.echo, { payload }, { operationId: newOperationId() });
      if (reply.payload.length !== payload.length) throw new Error("the echo is not what was sent");
      now = monotonicMs();
      if (started >= warmUpUntil) latencies.push(now - started);
    }
  };
  await Promise.all(Array.from({ length: Number(values.inflight) }, loop));
  client.stop();
  child.disconnect();
  latencies.sort((a, b) => a - b);
  const result = {
    bytes: payload.length,
    inFlight: Number(values.inflight),
    echoesPerSecond: Math.round(latencies.length / Number(values.seconds)),
    p50Ms: percentile(latencies, 0.5),
    p99Ms: percentile(latencies, 0.99),
  };
  console.table([result]);
  console.log(JSON.stringify(result));
}
