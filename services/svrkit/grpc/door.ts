/**
 * The second door of a server: the same handlers, behind the same checks in the same order, for callers
 * that speak gRPC. Health and reflection are gRPC's standard services. What a call carries beside its
 * message is told in metadata.ts, errors in status.ts.
 */
import {
  Server as GrpcServer,
  Metadata,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { HealthImplementation } from "grpc-health-check";
import { type Encode, Reader, toBytes } from "../codec.ts";
import type { RpcError } from "../errors.ts";
import { DRAIN_MS, FRAME_BYTES_MAX, GRPC_CALLS_MAX, KEEPALIVE_MS } from "../limits.ts";
import type { Method } from "../method.ts";
import type { AnswerTo, Server } from "../server.ts";
import { servicesOf } from "../tls/identity.ts";
import { earliestArrivalMs } from "../transport/arrival.ts";
import { type Endpoint, requirePlain, type Security } from "../transport/tcp.ts";
import { serverCredentials } from "./credentials.ts";
import { loadDescriptors } from "./descriptors.ts";
import { headOf } from "./metadata.ts";
import { grpcStatusOf } from "./status.ts";

export interface GrpcDoor {
  readonly port: number;
  /** Takes no new calls, waits for the running ones (bounded), then closes everything. */
  stop(): Promise<void>;
}

type Call = ServerUnaryCall<Buffer, Buffer>;
type Done = sendUnaryData<Buffer>;

/** Opens when all methods were added to `server`. */
export async function openGrpcDoor(
  server: Server,
  endpoint: Endpoint,
  security: Security = {},
): Promise<GrpcDoor> {
  if (security.credentials === undefined) requirePlain(endpoint.host, security.plaintext);
  const grpc = new GrpcServer({
    "grpc.max_receive_message_length": FRAME_BYTES_MAX,
    "grpc.max_send_message_length": FRAME_BYTES_MAX,
    "grpc.max_concurrent_streams": GRPC_CALLS_MAX,
    "grpc.keepalive_time_ms": KEEPALIVE_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_MS,
  });
  const services = Map.groupBy(server.methods, ({ name }) => name.split("/")[0]!);
  for (const methods of services.values())
    grpc.addService(definitionOf(methods), implementationOf(server, methods));
  const names = [...services.keys()];
  const health = new HealthImplementation(
    Object.fromEntries(["", ...names].map((name) => [name, "SERVING"])),
  );
  health.addToServer(grpc);
  new ReflectionService(await loadDescriptors(), { services: names }).addToServer(grpc);
  const address = `${endpoint.host}:${endpoint.port}`;
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = serverCredentials(security.credentials);
    grpc.bindAsync(address, credentials, (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return { port, stop: () => stop(grpc, health, names) };
}

async function stop(
  grpc: GrpcServer,
  health: HealthImplementation,
  names: readonly string[],
): Promise<void> {
  for (const name of ["", ...names]) health.setStatus(name, "NOT_SERVING");
  await new Promise<void>((resolve) => {
    const force = setTimeout(() => grpc.forceShutdown(), DRAIN_MS);
    grpc.tryShutdown(() => {
      clearTimeout(force);
      resolve();
    });
  });
}

const asIs = (bytes: Buffer) => bytes;

function definitionOf(methods: readonly Method<unknown, unknown>[]): ServiceDefinition {
  return Object.fromEntries(
    methods.map(({ name }) => [
      name,
      {
        ...{ path: `/${name}`, requestStream: false, responseStream: false },
        ...{ requestSerialize: asIs, requestDeserialize: asIs },
        ...{ responseSerialize: asIs, responseDeserialize: asIs },
      },
    ]),
  );
}

function implementationOf(
  server: Server,
  methods: readonly Method<unknown, unknown>[],
): UntypedServiceImplementation {
  return Object.fromEntries(
    methods.map(({ name, hash }) => [
      name,
      (call: Call, done: Done) => {
        const head = headOf(hash, call.metadata, call.getDeadline());
        server.serve(new GrpcAnswer(call, done), head, new Reader(call.request));
      },
    ]),
  );
}

class GrpcAnswer implements AnswerTo {
  readonly arrivedMs = earliestArrivalMs();
  readonly proved: ReadonlySet<string> | undefined;
  readonly #call: Call;
  readonly #done: Done;

  constructor(call: Call, done: Done) {
    this.#call = call;
    this.#done = done;
    const { sslPeerCertificate } = call.getAuthContext();
    this.proved =
      sslPeerCertificate && servicesOf({ subjectAltName: sslPeerCertificate.subjectaltname });
  }

  get isOpen(): boolean {
    return !this.#call.cancelled;
  }

  reply<T>(_callId: number, [encode, value]: [Encode<T>, T]): void {
    // Encoded first: what cannot be is an error that the server answers.
    const bytes = toBytes(encode, value);
    this.#done(null, bytes);
  }

  replyError(_callId: number, { code, message }: RpcError): void {
    const metadata = new Metadata();
    metadata.set("tricampus-code", code);
    // Half a character, which grpc-js could not encode, becomes a whole one.
    this.#done({ code: grpcStatusOf(code), details: message.toWellFormed(), metadata });
  }
}
