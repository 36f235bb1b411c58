/** The echo server: svrkit on one port, grpc-js on another. Started by bench/echo.ts. */
import {
  Server as GrpcServer,
  type handleBidiStreamingCall,
  type handleUnaryCall,
  ServerCredentials,
} from "@grpc/grpc-js";
import { Echo, type EchoMessage } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { silentLogger } from "../../services/svrkit/log.ts";
import { Server } from "../../services/svrkit/server.ts";
import { TicketVerifier } from "../../services/svrkit/ticket/verify.ts";
import { echoService } from "./grpc.ts";
import { READY } from "./tickets.ts";

const HOST = "127.0.0.1";

process.once("message", async ({ publicKey }: { publicKey: string }) => {
  const tickets = new TicketVerifier({ k1: publicKey }, { ready: READY });
  const server = new Server({ process: "bench/echo", campus: "b" }, silentLogger());
  server.add(Echo.echo, (request, call) => {
    if (call.ticket.length > 0) tickets.userOf(call);
    return request;
  });
  const svrkit = await server.listen({ host: HOST, port: 0 });
  const grpcServer = new GrpcServer();
  const echo: handleUnaryCall<EchoMessage, EchoMessage> = (call, done) => done(null, call.request);
  const stream: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    call.on("data", (message: Buffer) => call.write(message));
    call.on("end", () => call.end());
  };
  grpcServer.addService(echoService, { echo, stream });
  const grpc = await new Promise<number>((resolve, reject) =>
    grpcServer.bindAsync(`${HOST}:0`, ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  );
  process.on("message", () => {
    const { user, system } = process.cpuUsage();
    process.send?.(user + system);
  });
  process.send?.({ svrkit, grpc });
});
process.on("disconnect", () => process.exit(0));
