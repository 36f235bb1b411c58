/** The gRPC door with grpc-js's own client: conformance, health, reflection, certificates. */
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Client as GrpcClient, credentials as grpcCredentials } from "@grpc/grpc-js";
import { afterEach, expect, test } from "vitest";
import { Echo } from "../../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { CertificateAuthority } from "../../platform/certificate-folder.ts";
import { describeTransport } from "../conformance.suite.ts";
import { GRPC_CALLS_MAX } from "../limits.ts";
import { silentLogger } from "../log.ts";
import { Server } from "../server.ts";
import { Credentials, type TlsFiles } from "../tls/credentials.ts";
import { type GrpcDoor, openGrpcDoor } from "./door.ts";
import { grpcCaller } from "./testing/grpc-caller.ts";

const endpoint = { host: "127.0.0.1", port: 0 };
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

describeTransport({
  name: "grpc",
  longestCaller: 8_000,
  async connect(server, caller) {
    const door = await openGrpcDoor(server, endpoint);
    const inner = grpcCaller(door.port, caller);
    return {
      ...inner,
      async close() {
        inner.close();
        await door.stop();
      },
    };
  },
});

async function openEcho(credentials?: Credentials): Promise<GrpcDoor> {
  const server = new Server({ process: "a/echo", campus: "a" }, silentLogger());
  server.add(Echo.echo, (request) => request);
  const door = await openGrpcDoor(server, endpoint, { credentials });
  cleanUps.push(() => door.stop());
  return door;
}

const asIs = (bytes: Buffer) => bytes;
function clientOf({ port }: GrpcDoor): GrpcClient {
  const client = new GrpcClient(`127.0.0.1:${port}`, grpcCredentials.createInsecure());
  cleanUps.push(() => client.close());
  return client;
}

/** A string field of number `field`. */
const stringField = (field: number, text: string) =>
  Buffer.concat([Buffer.from([(field << 3) | 2, text.length]), Buffer.from(text)]);

test.each([
  ["", Buffer.from([8, 1])],
  ["tricampus.svrkit.v1.Echo", Buffer.from([8, 1])],
])('grpc: health of "%s" is SERVING', async (service, serving) => {
  const client = clientOf(await openEcho());
  const reply = await new Promise((resolve, reject) =>
    client.makeUnaryRequest(
      ...(["/grpc.health.v1.Health/Check", asIs, asIs, stringField(1, service)] as const),
      (error, answer) => (error ? reject(error) : resolve(answer)),
    ),
  );
  expect(reply).toEqual(serving);
});

test("grpc: a caller is told how many calls may be open on its connection", async () => {
  const { port } = await openEcho();
  const session = connect(`http://127.0.0.1:${port}`);
  cleanUps.push(() => session.destroy());
  const [settings] = await once(session, "remoteSettings");
  expect(settings.maxConcurrentStreams).toBe(GRPC_CALLS_MAX);
});

test("grpc: reflection names what is served, and describes it", async () => {
  const client = clientOf(await openEcho());
  const ask = (request: Buffer) =>
    new Promise<Buffer>((resolve, reject) => {
      const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
      const stream = client.makeBidiStreamRequest(path, asIs, asIs);
      stream.on("data", resolve);
      stream.on("error", reject);
      stream.write(request);
      stream.end();
    });
  const list = await ask(stringField(7, "*"));
  expect(list.includes("tricampus.svrkit.v1.Echo")).toBe(true);
  expect(list.includes("tricampus.kv.v1.Kv")).toBe(false);
  const file = await ask(stringField(4, "tricampus.svrkit.v1.Echo"));
  const name = "tricampus/svrkit/v1/echo.proto";
  // The file is a field of its own: two bytes before its name, which is its first field.
  const descriptor = fromBinary(FileDescriptorProtoSchema, file.subarray(file.indexOf(name) - 2));
  expect(descriptor.service.map((service) => service.name)).toEqual(["Echo"]);
});

test("grpc: with certificates only who proves to be the caller is served", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-grpc-"));
  cleanUps.push(() => rmSync(dir, { recursive: true, force: true }));
  const authority = await CertificateAuthority.open(dir);
  const credentials = new Credentials(await authority.issue("echo", ["echo"], 1), silentLogger());
  const door = await openEcho(credentials);
  const files = await authority.issue("text", ["text"], 1);
  const as = (caller: string, shown: TlsFiles | undefined) => {
    const [ca, key, cert] = shown
      ? [shown.caFile, shown.keyFile, shown.certFile].map((path) => readFileSync(path))
      : [readFileSync(files.caFile)];
    const anyName = { checkServerIdentity: () => undefined };
    const channel = grpcCredentials.createSsl(ca!, key ?? null, cert ?? null, anyName);
    const client = grpcCaller(door.port, caller, channel);
    cleanUps.push(() => client.close());
    return client.call(Echo.echo, { payload: Buffer.from("hello") }, { timeoutMs: 2_000 });
  };
  expect(Buffer.from((await as("text", files)).payload).toString()).toBe("hello");
  await expect(as("sync", files)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  await expect(as("text", undefined)).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test("grpc: a plain door beyond loopback has to be asked for by name", async () => {
  const server = new Server({ process: "a/echo", campus: "a" }, silentLogger());
  const anywhere = { host: "0.0.0.0", port: 0 };
  await expect(openGrpcDoor(server, anywhere)).rejects.toThrow(/which is not loopback/);
});
