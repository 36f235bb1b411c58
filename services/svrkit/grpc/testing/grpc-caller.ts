/** Calls over gRPC as any language would make them, with grpc-js's own client. */
import {
  type ChannelCredentials,
  Client,
  credentials as grpcCredentials,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import type { CallOptions } from "../../call.ts";
import { fromBytes, toBytes } from "../../codec.ts";
import type { Caller } from "../../conformance.suite.ts";
import { type Code, codes, RpcError } from "../../errors.ts";
import { spanIdOf, traceIdOf } from "../../tracing/context.ts";

const asIs = (bytes: Buffer) => bytes;

export function grpcCaller(
  port: number,
  caller: string,
  channel: ChannelCredentials = grpcCredentials.createInsecure(),
): Caller {
  const client = new Client(`127.0.0.1:${port}`, channel);
  const send = (name: string, body: Uint8Array, options: CallOptions) =>
    new Promise<Buffer>((resolve, reject) => {
      const deadline = Date.now() + (options.timeoutMs ?? 5_000);
      const done = (error: ServiceError | null, reply?: Buffer) =>
        error === null ? resolve(reply!) : reject(asRpcError(error));
      const metadata = metadataOf(caller, options);
      client.makeUnaryRequest(
        `/${name}`,
        asIs,
        asIs,
        Buffer.from(body),
        metadata,
        { deadline },
        done,
      );
    });
  return {
    async call(method, request, options) {
      const reply = await send(method.name, toBytes(method.encodeRequest, request), options);
      return fromBytes(method.decodeResponse, reply);
    },
    callBytes: ({ name }, body) => send(name, body, {}),
    close: () => client.close(),
  };
}

function metadataOf(caller: string, options: CallOptions): Metadata {
  const metadata = new Metadata();
  metadata.set("tricampus-caller", caller);
  const { ticket, operationId, priority, trace } = options;
  if (ticket !== undefined) metadata.set("tricampus-ticket-bin", Buffer.from(ticket));
  if (operationId !== undefined)
    metadata.set("tricampus-operation-id-bin", Buffer.from(operationId));
  if (priority !== undefined) metadata.set("tricampus-priority", String(priority));
  if (trace !== undefined) {
    const flags = Buffer.from(trace.subarray(24)).toString("hex");
    metadata.set("traceparent", `00-${traceIdOf(trace)}-${spanIdOf(trace)}-${flags}`);
  }
  return metadata;
}

function asRpcError(error: ServiceError): RpcError {
  const [named] = error.metadata?.get("tricampus-code") ?? [];
  const standard = Object.entries(codes).find(([, { number }]) => number === error.code)?.[0];
  return new RpcError((named ?? standard ?? "INTERNAL") as Code, error.details);
}
