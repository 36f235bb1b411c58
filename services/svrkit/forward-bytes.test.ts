import { afterAll, beforeAll, expect, test } from "vitest";
import {
  decodeEchoMessage,
  Echo,
  encodeEchoMessage,
} from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { Client } from "./client.ts";
import { fromBytes, toBytes } from "./codec.ts";
import { silentLogger } from "./log.ts";
import { Server } from "./server.ts";

const identity = { process: "a/test", campus: "a" };
const server = new Server(identity, silentLogger());
const client = new Client(identity);
let port: number;

beforeAll(async () => {
  server.add(Echo.echo, (request) => request);
  port = await server.listen({ host: "127.0.0.1", port: 0 });
});

afterAll(async () => {
  client.stop();
  await server.stop();
});

test.each([["over a connection"], ["in the same process"]])(
  "forwarded bytes %s: same answer, same errors",
  async (how) => {
    const local = how === "in the same process" ? server : undefined;
    const callee = client.callee("echo", [{ campus: "a", host: "127.0.0.1", port }], {
      caller: "test",
      local,
    });
    const request = toBytes(encodeEchoMessage, { payload: Buffer.from("hello") });
    const response = await callee.callBytes(Echo.echo.hash, request);
    expect(Buffer.from(fromBytes(decodeEchoMessage, response).payload).toString()).toBe("hello");
    const garbage = callee.callBytes(Echo.echo.hash, Buffer.from([10, 99]));
    await expect(garbage).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await expect(callee.callBytes(12345, request)).rejects.toMatchObject({ code: "UNIMPLEMENTED" });
  },
);
