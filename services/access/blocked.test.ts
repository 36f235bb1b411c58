/** A campus that is blocked: its clients leave without seeing an error, and nobody comes. */
import { Agent, request } from "node:http";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  encodeSendRequest,
  makeSendRequest,
} from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { TricampusClient } from "../../sdk/client.ts";
import { type SmallPlatform, startSmallPlatform } from "../../sdk/testing/small-platform.ts";
import { until } from "../../sdk/testing/until.ts";
import { toBytes } from "../svrkit/codec.ts";
import { overHttp, RawSocket } from "./testing/raw-client.ts";

const ANN = { userId: "u-ann", device: "phone" };
const A_BLOCKED = {
  ...{ campus: "a", service: "", untilMs: Date.now() + 60_000, why: "a new switch" },
};
const SEND = makeSendRequest({
  ...{ clientMessageId: "c1", text: "hi" },
  to: { case: "userId", value: "u-bob" },
});
const LEAVE_OVER_MS = 400;

let platform: SmallPlatform;
const urlOf = (campus: number) => platform.endpoints[campus]!.url;
const ticket = () =>
  platform.signer.sign({ ...ANN, issuedAtMs: Date.now(), expiresAtMs: Date.now() + 60_000 });

beforeEach(async () => {
  const accessOptions = { blockedLeaveOverMs: LEAVE_OVER_MS };
  platform = await startSmallPlatform({ campuses: ["a", "b"], accessOptions });
});
afterEach(() => platform.stop());

test("blocked: whoever is connected is told to leave, and closed when it does not", async () => {
  const sockets = await Promise.all(Array.from({ length: 20 }, () => RawSocket.open(urlOf(0))));
  const elsewhere = await RawSocket.open(urlOf(1));
  await Promise.all([...sockets, elsewhere].map((socket) => socket.attach(ticket())));
  platform.blocks.set([A_BLOCKED]);
  const startedMs = performance.now();
  const toldMs = await Promise.all(
    sockets.map(async (socket) => {
      const { kind } = await socket.take((frame) => frame.kind?.case === "leave");
      expect(kind).toMatchObject({ value: { reason: expect.stringContaining("(a new switch)") } });
      return performance.now() - startedMs;
    }),
  );
  expect(Math.max(...toldMs)).toBeLessThan(LEAVE_OVER_MS + 200);
  // Not all at once: twenty random times within the first half come once in a million.
  expect(Math.max(...toldMs)).toBeGreaterThan(LEAVE_OVER_MS / 2);
  expect(await Promise.all(sockets.map((socket) => socket.closed))).toEqual(
    sockets.map(() => 1001),
  );
  expect(await elsewhere.ping()).toBe("pong");
  elsewhere.close();
});

test("blocked: what a client has asked is answered before it is told to leave", async () => {
  let release = () => {};
  platform.backend.beforeSend = () =>
    new Promise((resolve) => {
      release = resolve;
    });
  const socket = await RawSocket.open(urlOf(0));
  await socket.attach(ticket());
  const answer = socket.request("Text/Send", toBytes(encodeSendRequest, SEND));
  await until(() => platform.backend.calls === 1);
  platform.blocks.set([A_BLOCKED]);
  await new Promise((resolve) => setTimeout(resolve, LEAVE_OVER_MS + 100));
  expect(socket.frames).toEqual([]);
  release();
  expect((await answer).kind?.case).toBe("body");
  expect((await socket.take(() => true)).kind?.case).toBe("leave");
  socket.close();
});

test("blocked: an SDK client goes on in the other campus, and no send of its fails", async () => {
  const states: string[] = [];
  const client = new TricampusClient({
    endpoints: platform.endpoints,
    device: "phone",
    onState: (state, campus) => states.push(`${state} ${campus}`),
  });
  await client.register("ann", "a password");
  await client.connect();
  expect(client.campus).toBe("a");
  platform.blocks.set([A_BLOCKED]);
  while (client.campus === "a") await client.send({ userId: "u-bob" }, "hello");
  for (let i = 0; i < 10; i++) await client.send({ userId: "u-bob" }, "hello");
  expect(states.at(-1)).toBe("attached b");
  await client.close();
});

test("blocked: who comes now is told why, over WebSocket and HTTP, until it is over", async () => {
  platform.blocks.set([{ ...A_BLOCKED, service: "access" }]);
  const knock = await get(`${urlOf(0)}/v1/connect`, { upgrade: "websocket" });
  expect(knock.status).toBe(503);
  expect(knock.text).toMatch(
    /^campus a takes no clients until .*Z \(a new switch\): connect to an/,
  );
  const request = { clientMessageId: "c1", userId: "u-bob", text: "hi" };
  const send = { name: "Text/Send", request };
  expect(await overHttp({ url: urlOf(0) }, { ...send, ticket: ticket() })).toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("connect to another campus"),
    retryable: true,
  });
  await expect(RawSocket.open(urlOf(0))).rejects.toThrow("503");
  expect(await overHttp({ url: urlOf(1) }, { ...send, ticket: ticket() })).toHaveProperty("ok");
  platform.blocks.set([]);
  const socket = await RawSocket.open(urlOf(0));
  expect(await socket.ping()).toBe("pong");
  socket.close();
});

test("blocked: a connection for HTTP from before is served once more, then closed", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = () => get(`${urlOf(0)}/nothing`, {}, agent);
  expect(await ask()).toMatchObject({ status: 404, connection: "keep-alive" });
  platform.blocks.set([A_BLOCKED]);
  expect(await ask()).toMatchObject({ status: 404, connection: "close" });
  expect(await ask()).toMatchObject({ status: 503, connection: "close" });
  agent.destroy();
});

test("blocked: when it is over soon, whoever has not left stays", async () => {
  const sockets = await Promise.all(Array.from({ length: 20 }, () => RawSocket.open(urlOf(0))));
  platform.blocks.set([A_BLOCKED]);
  platform.blocks.set([]);
  await new Promise((resolve) => setTimeout(resolve, LEAVE_OVER_MS + 100));
  for (const socket of sockets) {
    expect(socket.frames).toEqual([]);
    expect(await socket.ping()).toBe("pong");
    socket.close();
  }
});

function get(
  url: string,
  headers: Record<string, string>,
  agent?: Agent,
): Promise<{ status: number; connection: string; text: string }> {
  const connection = "upgrade" in headers ? { connection: "upgrade" } : {};
  return new Promise((resolve, reject) => {
    const asking = request(
      url,
      { ...(agent && { agent }), headers: { ...headers, ...connection } },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            connection: response.headers.connection ?? "",
            text,
          }),
        );
      },
    );
    asking.on("error", reject);
    asking.end();
  });
}
