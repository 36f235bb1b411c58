/**
 * The same echo through grpc-js, as its users would write it for speed: unary calls, and one stream both
 * ways whose messages carry a number. Messages are encoded by the codecs that svrkit uses.
 */
import {
  type ClientDuplexStream,
  credentials,
  Metadata,
  makeClientConstructor,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import {
  decodeEchoMessage,
  type EchoMessage,
  encodeEchoMessage,
} from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { fromBytes, toBytes } from "../../services/svrkit/codec.ts";
import type { Caller } from "./load.ts";

const encode = (message: EchoMessage) => toBytes(encodeEchoMessage, message);
const decode = (bytes: Buffer) => fromBytes(decodeEchoMessage, bytes);
const asIs = (bytes: Buffer) => bytes;

export const echoService = {
  echo: {
    path: "/tricampus.svrkit.v1.Echo/Echo",
    requestStream: false,
    responseStream: false,
    requestSerialize: encode,
    requestDeserialize: decode,
    responseSerialize: encode,
    responseDeserialize: decode,
  },
  stream: {
    path: "/tricampus.svrkit.v1.Echo/Stream",
    requestStream: true,
    responseStream: true,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
} satisfies ServiceDefinition;

const DEADLINE_MS = 5_000;

interface EchoClient {
  echo(
    message: EchoMessage,
    metadata: Metadata,
    options: { deadline: number },
    done: (error: Error | null, reply: EchoMessage) => void,
  ): void;
  stream(): ClientDuplexStream<Buffer, Buffer>;
  close(): void;
}

function connect(port: number): EchoClient {
  const Client = makeClientConstructor(echoService, "Echo");
  return new Client(`127.0.0.1:${port}`, credentials.createInsecure()) as unknown as EchoClient;
}

export function grpcUnary(port: number): Caller {
  const client = connect(port);
  const metadata = new Metadata();
  return {
    call: (payload) =>
      new Promise((resolve, reject) => {
        const deadline = Date.now() + DEADLINE_MS;
        client.echo({ payload }, metadata, { deadline }, (error, reply) =>
          error === null ? resolve(reply.payload.length) : reject(error),
        );
      }),
    close: () => client.close(),
  };
}

const NUMBER_BYTES = 4;

export function grpcStream(port: number): Caller {
  const client = connect(port);
  const stream = client.stream();
  const waiting = new Map<number, (bytes: number) => void>();
  let next = 0;
  stream.on("data", (message: Buffer) => {
    const number = message.readUInt32LE(0);
    const { payload } = decode(message.subarray(NUMBER_BYTES));
    waiting.get(number)?.(payload.length);
    waiting.delete(number);
  });
  stream.on("error", () => {});
  return {
    call: (payload) =>
      new Promise((resolve) => {
        next = (next + 1) >>> 0;
        waiting.set(next, resolve);
        const number = Buffer.allocUnsafe(NUMBER_BYTES);
        number.writeUInt32LE(next);
        stream.write(Buffer.concat([number, encode({ payload })]));
      }),
    close: () => {
      stream.end();
      client.close();
    },
  };
}
