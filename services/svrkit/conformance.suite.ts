/** What a call is, whichever way it comes: one suite for svrkit's frames, gRPC and the in-memory wire. */
import { afterEach, expect, test } from "vitest";
import { Echo, type EchoMessage } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { priorityOf } from "./admission/priority.ts";
import { type Call, type CallOptions, remainingMs } from "./call.ts";
import { type Code, codes, MESSAGE_BYTES_MAX, RpcError } from "./errors.ts";
import { silentLogger } from "./log.ts";
import type { Method } from "./method.ts";
import { newOperationId } from "./operation-id.ts";
import { type Handler, Server } from "./server.ts";
import { newTrace } from "./tracing/context.ts";

/** Calls a server over one transport, once; rejects with the RpcError that the server answered. */
export interface Caller {
  call<I, O>(method: Method<I, O>, request: I, options: CallOptions): Promise<O>;
  /** A body that no codec made. */
  callBytes(method: Method<unknown, unknown>, body: Uint8Array): Promise<unknown>;
  close(): Promise<void> | void;
}

export interface Transport {
  readonly name: string;
  /** Of a caller's name, as the transport carries it. */
  readonly longestCaller: number;
  /** `caller`: the service that calls. */
  connect(server: Server, caller: string): Promise<Caller>;
}

type EchoHandler = Handler<EchoMessage, EchoMessage>;
const TIMEOUT_MS = 20_000;

export function describeTransport({ name, longestCaller, connect }: Transport): void {
  const cleanUps: (() => unknown)[] = [];
  afterEach(async () => {
    for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
  });

  const serve = async (handle: EchoHandler, as = "text") => {
    const server = new Server({ process: "a/echo", campus: "a" }, silentLogger(), {
      allowed: () => new Set(["text"]),
    });
    server.add(Echo.echo, handle);
    cleanUps.push(() => server.stop());
    const caller = await connect(server, as);
    cleanUps.push(() => caller.close());
    const echo = (payload: Uint8Array, options: CallOptions = {}) =>
      caller.call(Echo.echo, { payload }, { timeoutMs: TIMEOUT_MS, ...options });
    return { server, caller, echo };
  };
  const nothing = Buffer.alloc(0);
  const same: EchoHandler = (request) => request;

  test.each([0, 1, 255, 65_536, 1_000_000])(`${name}: messages of %i bytes`, async (bytes) => {
    const { echo } = await serve(same);
    const payload = Buffer.alloc(bytes, "tricampus");
    expect(Buffer.from((await echo(payload)).payload).equals(payload)).toBe(true);
  });

  test(`${name}: many at once, answered in another order`, async () => {
    const waiting: (() => void)[] = [];
    const { echo } = await serve(async (request) => {
      await new Promise<void>((resolve) => waiting.push(resolve));
      return request;
    });
    const answers = Array.from({ length: 100 }, async (_, i) => {
      const { payload } = await echo(Buffer.from([i]));
      return payload[0];
    });
    await expect.poll(() => waiting.length).toBe(100);
    for (const answer of waiting.reverse()) answer();
    expect(await Promise.all(answers)).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });

  test(`${name}: ticket, operation id, trace, priority and caller arrive as they were sent`, async () => {
    let seen: Call | undefined;
    const { echo } = await serve((request, call) => {
      seen = call;
      return request;
    });
    const options = {
      ticket: Buffer.from([0, 1, 2, 255]),
      operationId: newOperationId(),
      trace: newTrace(),
      priority: priorityOf("message", 17),
    };
    await echo(nothing, options);
    expect(seen!.caller).toBe("text");
    expect(seen!.priority).toBe(options.priority);
    for (const field of ["ticket", "operationId", "trace"] as const)
      expect([...seen![field]], field).toEqual([...options[field]]);
  });

  test(`${name}: the handler has less time than the caller, and some is kept for the answer`, async () => {
    let leftMs = 0;
    const { echo } = await serve((request, call) => {
      leftMs = remainingMs(call);
      return request;
    });
    await echo(nothing, { timeoutMs: 16_000 });
    expect(leftMs).toBeLessThan(15_900);
    expect(leftMs).toBeGreaterThan(1_000);
  });

  test.each(Object.keys(codes) as Code[])(`${name}: a refusal with %s`, async (code) => {
    const { echo } = await serve(() => {
      throw new RpcError(code, `because of ${code}: "ä"`);
    });
    const failure = await echo(nothing).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(RpcError);
    expect((failure as RpcError).code).toBe(code);
    expect((failure as RpcError).message).toBe(`because of ${code}: "ä"`);
  });

  test(`${name}: a refusal's text of any length arrives, cut, and nothing else is hurt`, async () => {
    const texts = [1, 300, 1_000, 70_000, 1_000_000].flatMap((length) =>
      ["x", "ä", "€", "😀", "x€"].map((letter) => letter.repeat(length)),
    );
    texts.push("\ud800", "x\udc00".repeat(600));
    const { echo } = await serve((request) => {
      const [index, isLater] = request.payload;
      const refusal = new RpcError("INVALID_ARGUMENT", texts[index!]!);
      if (isLater === 0) throw refusal;
      return Promise.reject(refusal);
    });
    for (const [index, text] of texts.entries()) {
      const ask = Buffer.from([index, index % 3]);
      const failure = await echo(ask).catch((error: unknown) => error as RpcError);
      const { code, message } = failure as RpcError;
      expect(code).toBe("INVALID_ARGUMENT");
      expect(Buffer.byteLength(message)).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
      const [begin, end] = message.split(" ... (");
      const whole = text.toWellFormed();
      if (Buffer.byteLength(text) <= 1_000) expect(message).toBe(whole);
      else expect(end === "cut)" && whole.startsWith(begin!), message).toBe(true);
    }
  });

  test(`${name}: a caller whose name fills its head is refused like any other`, async () => {
    const { echo } = await serve(same, "c".repeat(longestCaller));
    await expect(echo(nothing)).rejects.toMatchObject({ code: "PERMISSION_DENIED" });
  });

  test(`${name}: a defect is said to be one, without its words`, async () => {
    const { echo } = await serve(() => {
      throw new Error("secret");
    });
    const failure = await echo(nothing).catch((error: unknown) => error as RpcError);
    expect(failure).toMatchObject({ code: "INTERNAL" });
    expect((failure as RpcError).message).toMatch(/failed unexpectedly in a\/echo/);
  });

  test(`${name}: a body that cannot be read, and a method that is not there`, async () => {
    const { caller } = await serve(same);
    const broken = caller.callBytes(Echo.echo as Method<unknown, unknown>, Buffer.from([0x0a, 9]));
    await expect(broken).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    const absent = { ...Echo.echo, name: "tricampus.svrkit.v1.Echo/Absent", hash: 12_345 };
    const unknown = caller.callBytes(absent as Method<unknown, unknown>, nothing);
    await expect(unknown).rejects.toMatchObject({ code: "UNIMPLEMENTED" });
  });

  test(`${name}: who is not in the table may not call`, async () => {
    const { echo } = await serve(same, "sync");
    const message = 'the service "sync" may not call tricampus.svrkit.v1.Echo/Echo';
    await expect(echo(nothing)).rejects.toMatchObject({ code: "PERMISSION_DENIED", message });
  });

  test(`${name}: a deadline that passes ends the call`, async () => {
    const held = Promise.withResolvers<void>();
    const { echo } = await serve(async (request) => {
      await held.promise;
      return request;
    });
    const late = echo(nothing, { timeoutMs: 50 });
    await expect(late).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
    held.resolve();
  });

  test(`${name}: a server that stops finishes what it began`, async () => {
    const held = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const { server, echo } = await serve(async (request) => {
      begun.resolve();
      await held.promise;
      return request;
    });
    const answer = echo(Buffer.from("first"));
    await begun.promise;
    const stopped = server.stop();
    setTimeout(() => held.resolve(), 20);
    expect(Buffer.from((await answer).payload).toString()).toBe("first");
    await stopped;
    await expect(echo(nothing)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });
}
