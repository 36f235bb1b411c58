/** How many downloads there may be, and for how long one may take nothing. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { type FastifyInstance, fastify } from "fastify";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  type FetchRequest,
  makeFetchReply,
} from "../../protos/gen/tricampus/data/v1/media_codec.ts";
import { pathOf } from "../data/media/client.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import { rest } from "../svrkit/rest.ts";
import { serveMedia } from "./media.ts";

const DOWNLOADS = 3;
const STALLED_MS = 500;
/** More than what kernels take for a client that reads nothing. */
const BYTES = 64 * 1024 * 1024;
const PATH = pathOf({
  ...{ mediaId: "a".repeat(64), thumbnail: false },
  ...{ expiresAtMs: Date.now() + 60_000, seal: Buffer.alloc(16) },
});

let http: FastifyInstance;
let port: number;
const sockets: Socket[] = [];

beforeEach(() => serve({ stalledMs: STALLED_MS, partMs: 60_000 }));

async function serve(times: { stalledMs: number; partMs: number }): Promise<void> {
  const media = {
    call: async (_: unknown, { bytesMax }: FetchRequest) => {
      await rest(20);
      return makeFetchReply({ mime: "image/jpeg", bytes: BYTES, data: Buffer.alloc(bytesMax) });
    },
  } as unknown as Callee;
  http = fastify();
  http.setErrorHandler((error, _, reply) => reply.code(503).send(RpcError.from(error).code));
  serveMedia(http, media, { downloadsMax: DOWNLOADS, ...times });
  await http.listen({ host: "127.0.0.1", port: 0 });
  port = (http.server.address() as { port: number }).port;
}

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await http.close();
});

/** The status of the first answer; nothing more is read. */
async function ask(method = "GET", times = 1): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  sockets.push(socket);
  socket.on("error", () => {});
  socket.write(`${method} ${PATH} HTTP/1.1\r\nHost: x\r\n\r\n`.repeat(times));
  const [head] = (await once(socket, "data")) as [Buffer];
  socket.pause();
  return head.toString("latin1").slice(9, 12);
}

test("downloads: those that begin at the same moment are counted, too", async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, () => ask()));
  expect(answers.filter((status) => status === "200")).toHaveLength(DOWNLOADS);
  expect(answers.filter((status) => status === "503")).toHaveLength(10 - DOWNLOADS);
});

test("downloads: who takes nothing loses its place, and who is done or leaves gives it back", async () => {
  for (let i = 0; i < DOWNLOADS + 2; i++) expect(await ask("HEAD")).toBe("200");
  for (let i = 0; i < DOWNLOADS; i++) expect(await ask()).toBe("200");
  expect(await ask()).toBe("503");
  sockets.at(-2)!.destroy();
  await expect.poll(() => ask()).toBe("200");
  expect(await ask()).toBe("503");
  await rest(STALLED_MS);
  await expect.poll(() => ask(), { timeout: 5_000 }).toBe("200");
});

test("downloads: one connection has one place, however many it asks for", async () => {
  expect(await ask("GET", DOWNLOADS * 2)).toBe("200");
  for (let i = 1; i < DOWNLOADS; i++) expect(await ask()).toBe("200");
  expect(await ask()).toBe("503");
  sockets[0]!.destroy();
  await expect.poll(() => ask()).toBe("200");
});

test("downloads: who takes a part too slowly loses its place, who takes all in time gets all", async () => {
  await http.close();
  const partMs = 1_000;
  await serve({ stalledMs: 60_000, partMs });
  for (let i = 1; i < DOWNLOADS; i++) expect(await ask()).toBe("200");
  const beganAtMs = performance.now();
  const answer = await fetch(`http://127.0.0.1:${port}${PATH}`);
  expect(await ask()).toBe("503");
  expect((await answer.arrayBuffer()).byteLength).toBe(BYTES);
  expect(performance.now() - beganAtMs).toBeGreaterThan(partMs);
  for (let i = 0; i < DOWNLOADS; i++)
    await expect.poll(() => ask(), { timeout: 5_000 }).toBe("200");
});
