/** Traces through real servers and clients, gathered from what processes keep, and from a collector. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Echo } from "../../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { type Call, forward } from "../call.ts";
import { Client } from "../client.ts";
import { NO_BYTES } from "../codec.ts";
import { RpcError } from "../errors.ts";
import { type Logger, silentLogger } from "../log.ts";
import { type Handler, Server } from "../server.ts";
import { keptLog } from "../testing/kept-log.ts";
import {
  childOf,
  isSampled,
  newTrace,
  parseTraceparent,
  sampledOrNone,
  spanIdOf,
  traceIdOf,
} from "./context.ts";
import { Sampler } from "./sampler.ts";
import { beginSpan, beginTrace, findSpans } from "./span.ts";

type Message = { payload: Uint8Array };
const stops: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

async function serve(
  handle: Handler<Message, Message>,
  log: Logger = silentLogger(),
): Promise<Server> {
  const server = new Server({ process: "a/echo", campus: "a" }, log);
  server.add(Echo.echo, handle);
  stops.push(() => server.stop());
  return server;
}

async function calleeOf(server: Server) {
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  const client = new Client({ process: "test", campus: "a" });
  stops.push(() => client.stop());
  return client.callee("echo", [{ campus: "a", host: "127.0.0.1", port }], { caller: "test" });
}

const spansIn = (trace: Uint8Array) => findSpans({ traceIds: [traceIdOf(trace)], messageIds: [] });

test("tracing: a trace context keeps its trace id from span to span, and its decision", () => {
  const trace = newTrace(true);
  const child = childOf(trace);
  expect(trace).toHaveLength(25);
  expect(traceIdOf(child)).toBe(traceIdOf(trace));
  expect(spanIdOf(child)).not.toBe(spanIdOf(trace));
  expect([isSampled(trace), isSampled(child), isSampled(newTrace()), isSampled(NO_BYTES)]).toEqual([
    ...[true, true, false, false],
  ]);
  expect(sampledOrNone(newTrace())).toBe(NO_BYTES);
  const text = `00-${traceIdOf(trace)}-${spanIdOf(trace)}-01`;
  expect([...parseTraceparent(text)!]).toEqual([...trace]);
  expect(parseTraceparent(`${text}0`)).toBeUndefined();
});

test("tracing: each service that a call passes is a span below the one that called it", async () => {
  const far = await calleeOf(await serve((request) => request));
  const near = await calleeOf(
    await serve((request, call: Call) => {
      call.span?.set("message", "m1");
      return far.call(Echo.echo, request, forward(call));
    }),
  );
  const entry = beginTrace({ name: "Echo", kind: "entry", startedMs: performance.now() });
  await near.call(Echo.echo, { payload: NO_BYTES }, { trace: entry.context });
  entry.end();
  const spans = spansIn(entry.context);
  const byParent = new Map(spans.map((span) => [span.parentId, span]));
  const first = byParent.get("")!;
  const second = byParent.get(first.spanId)!;
  const third = byParent.get(second.spanId)!;
  expect([first.kind, second.name, third.name]).toEqual(["entry", "Echo/Echo", "Echo/Echo"]);
  expect(second.attributes).toEqual({ message: "m1" });
  expect(spans).toHaveLength(3);
  expect(first.tookMs).toBeGreaterThanOrEqual(second.tookMs);
  expect(second.tookMs).toBeGreaterThanOrEqual(third.tookMs);
  expect(Math.abs(first.startedAtMs - Date.now())).toBeLessThan(60_000);
  expect(findSpans({ traceIds: [], messageIds: ["m1"] })).toContainEqual(second);
});

test("tracing: a call that fails says how, in another process and in this one", async () => {
  const server = await serve(() => {
    throw new RpcError("NOT_FOUND", "there is none");
  });
  const callee = await calleeOf(server);
  const trace = newTrace(true);
  await expect(callee.call(Echo.echo, { payload: NO_BYTES }, { trace })).rejects.toThrow();
  const client = new Client({ process: "test", campus: "a" });
  const address = [{ campus: "a", host: "127.0.0.1", port: 1 }];
  const local = client.callee("echo", address, { caller: "test", local: server });
  await expect(local.call(Echo.echo, { payload: NO_BYTES }, { trace })).rejects.toThrow();
  expect(spansIn(trace).map(({ code }) => code)).toEqual(["NOT_FOUND", "NOT_FOUND"]);
});

test("tracing: what is not sampled leaves nothing", async () => {
  const seen: Call[] = [];
  const callee = await calleeOf(
    await serve((request, call) => {
      seen.push(call);
      return request;
    }),
  );
  const trace = newTrace();
  await callee.call(Echo.echo, { payload: NO_BYTES }, { trace });
  expect(seen[0]!.span).toBeUndefined();
  expect([...seen[0]!.trace]).toEqual([...trace]);
  expect(spansIn(trace)).toEqual([]);
});

test("tracing: a line in the log names the trace of its call, sampled or not, and none when it has none", async () => {
  const { log, lines } = keptLog();
  const handle = () => {
    throw new Error("a defect");
  };
  const callee = await calleeOf(await serve(handle, log));
  const traces = [newTrace(), newTrace(true), NO_BYTES];
  for (const trace of traces)
    await expect(callee.call(Echo.echo, { payload: NO_BYTES }, { trace })).rejects.toThrow();
  const said = lines.filter(({ msg }) => msg === "a handler failed unexpectedly");
  const ids = traces.slice(0, 2).map(traceIdOf);
  expect(said.map(({ trace }) => trace)).toEqual([...ids, undefined]);
});

test("tracing: the last 1,000 spans are kept", () => {
  const trace = newTrace(true);
  for (let i = 0; i < 1_500; i++) {
    const span = beginSpan(trace, { name: String(i), kind: "call", startedMs: 0 })!;
    span.end();
    span.end("INTERNAL"); // counts once
  }
  const names = spansIn(trace).map(({ name }) => name);
  expect(names).toHaveLength(1_000);
  expect([names[0], names.at(-1)]).toEqual(["500", "1499"]);
});

test("tracing: a share of requests is sampled, and what is asked for, within limits", () => {
  const count = (sampler: Sampler, isForced: boolean) =>
    Array.from({ length: 1_000 }, () => sampler.takes(isForced, 0)).filter((taken) => taken).length;
  expect(count(new Sampler(0), false)).toBe(0);
  expect(count(new Sampler(1), false)).toBe(1_000);
  expect(count(new Sampler(0), true)).toBe(50);
});

test("tracing: a collector gets the spans under their own ids", async () => {
  const bodies: Buffer[] = [];
  const collector = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      bodies.push(Buffer.concat(chunks));
      response.end();
    });
  });
  collector.listen(0, "127.0.0.1");
  await once(collector, "listening");
  stops.push(() => void collector.close());
  const { port } = collector.address() as AddressInfo;
  process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = `http://127.0.0.1:${port}`;
  const { exportSpans } = await import("./export.ts");
  const stop = exportSpans({ process: "a/logic", campus: "a" });
  const entry = beginTrace({ name: "Text/Send", kind: "entry", startedMs: performance.now() });
  const below = beginSpan(entry.context, { name: "Below", kind: "queue", startedMs: 0 })!;
  below.end("NO_QUORUM");
  entry.end();
  await stop();
  delete process.env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  const sent = Buffer.concat(bodies);
  for (const { context } of [entry, below]) {
    expect(sent.includes(Buffer.from(context.subarray(0, 16)))).toBe(true);
    expect(sent.includes(Buffer.from(context.subarray(16, 24)))).toBe(true);
  }
  for (const text of ["a/logic", "Text/Send", "Below", "NO_QUORUM"])
    expect(sent.includes(text), text).toBe(true);
});
