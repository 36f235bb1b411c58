/** Client and server over real sockets: failover, silence, bad frames, deadlines, drain. */
import { connect, createServer, type Server as NetServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import type { EchoMessage } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { Echo } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { monotonicMs } from "./call.ts";
import { type Callee, Client, type ServiceAddress } from "./client.ts";
import { RpcError } from "./errors.ts";
import { Blocks } from "./failover/blocks.ts";
import { FRAME_BYTES_MAX } from "./limits.ts";
import { silentLogger } from "./log.ts";
import { type Handler, Server } from "./server.ts";
import { memoryWirePair } from "./transport/memory.ts";

type EchoHandler = Handler<EchoMessage, EchoMessage>;
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

async function serve(
  campus: string,
  handler: EchoHandler = (request) => request,
): Promise<ServiceAddress> {
  const server = new Server({ process: `${campus}/echo`, campus }, silentLogger());
  server.add(Echo.echo, handler);
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  cleanUps.push(() => server.stop());
  return { campus, host: "127.0.0.1", port };
}

function callee(addresses: ServiceAddress[], campus = "a", blocks = new Blocks()): Callee {
  const client = new Client({ process: "test", campus }, blocks);
  cleanUps.push(() => client.stop());
  return client.callee("echo", addresses, { caller: "test" });
}

const payload = Buffer.from("hello");
const nowhere = (campus: string): ServiceAddress => ({ campus, host: "127.0.0.1", port: 1 });
const named =
  (campus: string): EchoHandler =>
  () => ({ payload: Buffer.from(campus) });
const who = async (c: Callee) =>
  Buffer.from((await c.call(Echo.echo, { payload })).payload).toString();

test("client: a call goes to the own campus, and to another one inside the same call when that is gone", async () => {
  const b = await serve("b", named("b"));
  const own = callee([await serve("a", named("a")), b]);
  expect(await who(own)).toBe("a");
  expect(await who(callee([nowhere("a"), b]))).toBe("b");
});

test("client: what a replica refuses as unavailable is tried at the next; other errors are the answer", async () => {
  const refusing = await serve("a", () => {
    throw new RpcError("UNAVAILABLE", "not here");
  });
  expect(await who(callee([refusing, await serve("b", named("b"))]))).toBe("b");
  const denying = await serve("a", () => {
    throw new RpcError("PERMISSION_DENIED", "not you");
  });
  await expect(who(callee([denying, await serve("b", named("b"))]))).rejects.toMatchObject({
    code: "PERMISSION_DENIED",
    message: "not you",
  });
});

test("promise 3: a replica that falls silent costs a call less than 700 ms", async () => {
  let silent = false;
  const never = new Promise<EchoMessage>(() => {});
  const quiet: NetServer = createServer((socket) => {
    const inner = connect({ host: "127.0.0.1", port: a.port });
    const both = [socket, inner];
    for (const s of both) s.on("error", () => {});
    socket.on("data", (chunk) => silent || inner.write(chunk));
    inner.on("data", (chunk) => silent || socket.write(chunk));
    cleanUps.push(() => both.map((s) => s.destroy()));
  });
  const a = await serve("a", (request) => (silent ? never : request));
  await new Promise<void>((resolve) => quiet.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => quiet.close());
  const port = (quiet.address() as { port: number }).port;
  const c = callee([{ campus: "a", host: "127.0.0.1", port }, await serve("b", named("b"))]);
  expect(await who(c)).toBe("hello");
  silent = true;
  const started = performance.now();
  expect(await who(c)).toBe("b");
  expect(performance.now() - started).toBeLessThan(700);
  const again = performance.now();
  expect(await who(c)).toBe("b");
  expect(performance.now() - again).toBeLessThan(50);
});

test("client: a slow replica that still answers pings is waited for until the deadline", async () => {
  const slow = await serve("a", async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 700));
    return request;
  });
  const c = callee([slow, await serve("b", named("b"))]);
  expect(await who(c)).toBe("hello");
  await expect(c.call(Echo.echo, { payload }, { timeoutMs: 200 })).rejects.toMatchObject({
    code: "DEADLINE_EXCEEDED",
  });
});

test("client: with nobody there the call fails at its deadline and says why", async () => {
  const c = callee([nowhere("a"), nowhere("b")]);
  await expect(c.call(Echo.echo, { payload }, { timeoutMs: 300 })).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("no replica of echo"),
  });
});

test("client: what a handler gives up at its deadline, a little late, comes back with the reason", async () => {
  const c = callee([
    await serve("a", async (_request, call) => {
      const lateMs = 100;
      const leftMs = call.deadlineMs - performance.now();
      await new Promise((resolve) => setTimeout(resolve, leftMs + lateMs));
      throw new RpcError("RESOURCE_EXHAUSTED", "no room, to the end");
    }),
  ]);
  await expect(c.call(Echo.echo, { payload }, { timeoutMs: 4_000 })).rejects.toMatchObject({
    message: "no room, to the end",
  });
});

test("server: a handler's defect is answered as INTERNAL and the connection goes on", async () => {
  let broken = true;
  const c = callee([
    await serve("a", (request) => {
      if (broken) throw new TypeError("a defect");
      return request;
    }),
  ]);
  await expect(c.call(Echo.echo, { payload })).rejects.toMatchObject({ code: "INTERNAL" });
  broken = false;
  expect(await who(c)).toBe("hello");
});

test("svrkit: a request or an answer that is too large fails alone, and hurts no other call", async () => {
  const large = Buffer.alloc(FRAME_BYTES_MAX);
  const held = Promise.withResolvers<EchoMessage>();
  const c = callee([
    await serve("a", ({ payload: asked }) => {
      const text = Buffer.from(asked).toString();
      if (text === "hold") return held.promise;
      return { payload: text === "large" ? large : asked };
    }),
  ]);
  const ask = (text: string | Buffer) => c.call(Echo.echo, { payload: Buffer.from(text) });
  const other = ask("hold");
  await expect(ask(large)).rejects.toMatchObject({ code: "TOO_LARGE" });
  await expect(ask("large")).rejects.toMatchObject({ code: "TOO_LARGE" });
  held.resolve({ payload });
  expect(Buffer.from((await other).payload).toString()).toBe("hello");
  // Just below the limit both ways are open.
  const most = Buffer.alloc(FRAME_BYTES_MAX - 200);
  expect((await ask(most)).payload.length).toBe(most.length);
});

test("server: rubbish, oversized frames and a wrong Hello end their own connection only", async () => {
  const address = await serve("a");
  const c = callee([address]);
  expect(await who(c)).toBe("hello");
  const rubbish = [
    Buffer.from("GET / HTTP/1.1\r\n\r\n"),
    Buffer.alloc(100_000, 0xff),
    Buffer.from([3, 0, 0, 0, 2, 0, 0]),
  ];
  for (const bytes of rubbish) {
    await new Promise<void>((resolve) => {
      const socket = connect({ host: "127.0.0.1", port: address.port }, () => socket.write(bytes));
      socket.on("error", () => {});
      socket.on("close", () => resolve());
      socket.resume();
    });
    expect(await who(c)).toBe("hello");
  }
});

test("server: a drain finishes running calls and sends the next ones elsewhere", async () => {
  const server = new Server({ process: "a/echo", campus: "a" }, silentLogger());
  const arrived = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  server.add(Echo.echo, async () => {
    arrived.resolve();
    await release.promise;
    return { payload: Buffer.from("a") };
  });
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  const c = callee([{ campus: "a", host: "127.0.0.1", port }, await serve("b", named("b"))]);
  const running = who(c);
  await arrived.promise;
  const stopped = server.stop();
  setTimeout(release.resolve, 50);
  expect(await running).toBe("a");
  expect(await who(c)).toBe("b");
  await stopped;
});

test("server: a drain carries out what waits for its turn, too", async () => {
  const server = new Server({ process: "a/echo", campus: "a" }, silentLogger());
  let begun = 0;
  server.add(Echo.echo, (request) => {
    begun += 1;
    const endMs = monotonicMs() + 2;
    while (monotonicMs() < endMs);
    return request;
  });
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  const c = callee([{ campus: "a", host: "127.0.0.1", port }]);
  const one = () => c.callOne(0, Echo.echo, { payload: Buffer.from("x") }, { priority: 5 });
  await one();
  const calls = Array.from({ length: 100 }, one);
  // All are here, and most wait.
  while (begun + server.callsWaiting < 101) await new Promise((resolve) => setImmediate(resolve));
  expect(server.callsWaiting).toBeGreaterThan(20);
  await Promise.all([server.stop(), ...calls]);
  expect(server.callsWaiting).toBe(0);
});

test("svrkit: the same handlers over the in-memory wire", async () => {
  const server = new Server({ process: "b/echo", campus: "b" }, silentLogger());
  server.add(Echo.echo, (request) => request);
  const client = new Client({ process: "test", campus: "a" });
  cleanUps.push(() => client.stop());
  const dial = async () => {
    const [near, far] = memoryWirePair();
    server.accept(far);
    return near;
  };
  const c = client.calleeFrom("echo", [{ campus: "b", label: "memory", dial }], { caller: "test" });
  const replies = await Promise.all(
    Array.from({ length: 500 }, (_, i) => c.call(Echo.echo, { payload: Buffer.from(`${i}`) })),
  );
  expect(replies.map((reply) => Number(Buffer.from(reply.payload)))).toEqual(
    Array.from({ length: 500 }, (_, i) => i),
  );
});

test("client: why it failed is not forgotten over a last attempt that had no time", async () => {
  const full = await serve("a", () => {
    throw new RpcError("STORAGE_REFUSED", "the disk is full");
  });
  const silent = await serve("b", () => new Promise(() => {}));
  const refused = { code: "STORAGE_REFUSED", message: expect.stringContaining("disk is full") };
  const call = (addresses: ServiceAddress[]) =>
    callee(addresses).call(Echo.echo, { payload }, { timeoutMs: 400 });
  await expect(call([full, silent])).rejects.toMatchObject(refused);
  await expect(call([full, nowhere("b")])).rejects.toMatchObject(refused);
});

test("client: why it failed is not forgotten over a last attempt that ran out of its time", async () => {
  let calls = 0;
  const busy = await serve("a", async (_request, call) => {
    if (calls++ === 0) throw new RpcError("UNAVAILABLE", "it is on its way");
    await sleep(call.deadlineMs - monotonicMs());
    throw new RpcError("UNAVAILABLE", "its deadline had passed");
  });
  const call = callee([busy]).call(Echo.echo, { payload }, { timeoutMs: 300 });
  await expect(call).rejects.toMatchObject({
    code: "UNAVAILABLE",
    message: expect.stringContaining("it is on its way"),
  });
  expect(calls).toBe(2);
});

const blockedUntilMs = Date.now() + 60_000;
const blocked = (campus: string, service = "") => ({
  ...{ campus, service, untilMs: blockedUntilMs, why: "a drill" },
});

test("blocks: a blocked campus gets no call, not even its own, and calls again when that is over", async () => {
  const blocks = new Blocks();
  const addresses = await Promise.all(["a", "b", "c"].map((name) => serve(name, named(name))));
  const inB = callee(addresses, "b", blocks);
  const inC = callee(addresses, "c", blocks);
  expect(await who(inB)).toBe("b");
  blocks.set([blocked("b")]);
  const answered: Record<string, number> = { a: 0, b: 0, c: 0 };
  for (let i = 0; i < 100; i++) answered[await who(inB)]! += 1;
  expect(answered).toEqual({ a: 50, b: 0, c: 50 });
  expect(await who(inC)).toBe("c");
  blocks.set([blocked("b", "another")]);
  expect(await who(inB)).toBe("b");
  blocks.set([blocked("b", "echo")]);
  expect(await who(inB)).not.toBe("b");
  blocks.set([]);
  expect(await who(inB)).toBe("b");
});

test("blocks: a callee made later heeds what is blocked already", async () => {
  const blocks = new Blocks();
  blocks.set([blocked("a")]);
  const addresses = await Promise.all(["a", "b"].map((name) => serve(name, named(name))));
  expect(await who(callee(addresses, "a", blocks))).toBe("b");
});

test("blocks: a server in this very process is left out like any other", async () => {
  const blocks = new Blocks();
  const local = new Server({ process: "a/all", campus: "a" }, silentLogger());
  local.add(Echo.echo, named("a"));
  const client = new Client({ process: "a/all", campus: "a" }, blocks);
  cleanUps.push(() => client.stop());
  const addresses = [nowhere("a"), await serve("b", named("b"))];
  const c = client.callee("echo", addresses, { caller: "test", local });
  expect(await who(c)).toBe("a");
  blocks.set([blocked("a")]);
  expect(await who(c)).toBe("b");
});

test("blocks: when nobody else answers, the blocked campus does, and a wanted order ends there", async () => {
  const blocks = new Blocks();
  blocks.set([blocked("b")]);
  const b = await serve("b", named("b"));
  expect(await who(callee([nowhere("a"), b, nowhere("c")], "a", blocks))).toBe("b");
  const c = callee([await serve("a", named("a")), b], "a", blocks);
  const reply = await c.call(Echo.echo, { payload }, { order: [1, 0] });
  expect(Buffer.from(reply.payload).toString()).toBe("a");
});
