/**
 * An echo server in a thread of its own, whose event loop stands still when it is told to, until the
 * shared number is 2; it sets it to 1 when it begins.
 */
import { parentPort } from "node:worker_threads";
import { Echo } from "../../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { silentLogger } from "../log.ts";
import { Server } from "../server.ts";

const server = new Server({ process: "a/echo", campus: "a" }, silentLogger());
server.add(Echo.echo, (request) => request);
parentPort!.postMessage(await server.listen({ host: "127.0.0.1", port: 0 }));
parentPort!.on("message", (shared: Int32Array) => {
  Atomics.store(shared, 0, 1);
  Atomics.wait(shared, 0, 1);
});
