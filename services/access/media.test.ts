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
import { AdaptiveLevel } from "../svrkit/admission/adaptive-level.ts";
import { priorityOf, USER_BUCKETS } from "../svrkit/admission/priority.ts";
import { TokenBuckets } from "../svrkit/admission/token-buckets.ts";
import { type Callee, Client } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import { silentLogger } from "../svrkit/log.ts";
import { rest } from "../svrkit/rest.ts";
import { Server } from "../svrkit/server.ts";
import { newTicketKeys } from "../svrkit/ticket/sign.ts";
import { TicketVerifier } from "../svrkit/ticket/verify.ts";
import { Sampler } from "../svrkit/tracing/sampler.ts";
import { Forwarder } from "./forwarder.ts";
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

/** Of this test's downloads: parts asked for, and those that were let in and have ended. */
let count: { fetched: number; ended: number };
/** How far this process is behind, by its own clock. */
let nowMs: number;
let backlogMs: number;
let forwarder: Forwarder;

beforeEach(() => serve({ stalledMs: STALLED_MS, partMs: 60_000 }));

function newForwarder(): Forwarder {
  [nowMs, backlogMs] = [0, 0];
  const counted = { fetched: 0, ended: 0 };
  count = counted;
  const client = new Client({ process: "test", campus: "a" });
  client.stop();
  // Whatever it does is for what may be shed.
  const thread = () => ({ usedMs: nowMs, idleMs: 0, sheddableEnded: 0, othersEnded: 0 });
  const options = { admission: new AdaptiveLevel({ thread }) };
  const server = new Server({ process: "test", campus: "a" }, silentLogger(), options);
  return new Forwarder({
    callee: (service) => client.callee(service, [], { caller: "access" }),
    tickets: new TicketVerifier({ k1: newTicketKeys().publicKey }),
    ...{ own: new Map(), rates: new TokenBuckets({ perSecond: 1, burst: 1 }) },
    ...{ sampler: new Sampler(0), log: silentLogger() },
    ...{ now: () => nowMs, arrived: () => nowMs - backlogMs },
    server: {
      admits: (...asked) => server.admits(...asked),
      ended: (...told) => {
        counted.ended += 1;
        server.ended(...told);
      },
    },
  });
}

async function serve(times: { stalledMs: number; partMs: number }): Promise<void> {
  const media = {
    call: async (_: unknown, { bytesMax }: FetchRequest) => {
      count.fetched += 1;
      await rest(20);
      return makeFetchReply({ mime: "image/jpeg", bytes: BYTES, data: Buffer.alloc(bytesMax) });
    },
  } as unknown as Callee;
  http = fastify();
  http.setErrorHandler((error, _, reply) => reply.code(503).send(RpcError.from(error).code));
  forwarder = newForwarder();
  serveMedia(http, { media, forwarder }, { downloadsMax: DOWNLOADS, ...times });
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

test("downloads: a process that falls behind sheds them, before it asks for anything", async () => {
  for (; nowMs < 2_000; nowMs += 1) {
    // Evenly, over a short time, too.
    const priority = priorityOf("media", (nowMs * 50) % USER_BUCKETS);
    try {
      forwarder.letIn(priority);
      forwarder.ended(priority);
      backlogMs += 10;
    } catch (error) {
      expect(error).toMatchObject({ code: "OVERLOADED", retryable: true });
    }
    backlogMs = Math.max(0, backlogMs - 1);
  }
  count.ended = 0;
  const answers = await Promise.all(Array.from({ length: 40 }, () => ask("HEAD")));
  const served = answers.filter((status) => status === "200").length;
  expect(served).toBeLessThan(25);
  expect(count.fetched).toBe(served);
  await expect.poll(() => count.ended).toBe(served);
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
