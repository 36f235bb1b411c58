/** A replica in the caller's process has the clock of any other: nobody waits for it for ever. */
import { afterEach, expect, test, vi } from "vitest";
import { Echo, type EchoMessage } from "../../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { remainingMs } from "../call.ts";
import { type Callee, Client } from "../client.ts";
import { RpcError } from "../errors.ts";
import { silentLogger } from "../log.ts";
import { rest } from "../rest.ts";
import { type Handler, Server } from "../server.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  vi.useRealTimers();
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

const message = { payload: Buffer.from("hello") };
/** Answers when the test is over. */
const never = () =>
  new Promise<EchoMessage>((resolve) => {
    cleanUps.unshift(() => resolve(message));
  });

/** Campus a is this process, b is another one. */
async function callee(inA: Handler<EchoMessage, EchoMessage>): Promise<Callee> {
  const serverOf = (campus: string) => new Server({ process: campus, campus }, silentLogger());
  const [local, far] = [serverOf("a"), serverOf("b")];
  local.add(Echo.echo, inA);
  far.add(Echo.echo, () => ({ payload: Buffer.from("b") }));
  const port = await far.listen({ host: "127.0.0.1", port: 0 });
  const client = new Client({ process: "a", campus: "a" });
  cleanUps.push(
    () => client.stop(),
    () => far.stop(),
  );
  const addresses = [
    { campus: "a", host: "127.0.0.1", port: 1 },
    { campus: "b", host: "127.0.0.1", port },
  ];
  return client.callee("echo", addresses, { caller: "test", local });
}

const who = async (c: Callee, options = {}) =>
  Buffer.from((await c.call(Echo.echo, message, options)).payload).toString();

test("local replica: a call ends at its deadline, however long the handler takes", async () => {
  const c = await callee(never);
  const startedMs = performance.now();
  const options = { timeoutMs: 200 };
  const outcomes = [
    c.call(Echo.echo, message, options),
    c.callOne(0, Echo.echo, message, options),
  ].map((call) => call.catch((error: RpcError) => error.code));
  expect(await Promise.all(outcomes)).toEqual(["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"]);
  expect(performance.now() - startedMs).toBeLessThan(1_000);
});

test("local replica: a handler that gives up at its own deadline, a little late, is still heard", async () => {
  vi.useFakeTimers();
  const c = await callee(async (_, call) => {
    await rest(remainingMs(call) + 60);
    throw new RpcError("STORAGE_REFUSED", "the disk is full", { retryable: false });
  });
  const call = who(c, { timeoutMs: 3_200 });
  const heard = expect(call).rejects.toMatchObject({ code: "STORAGE_REFUSED" });
  await Promise.all([heard, vi.advanceTimersByTimeAsync(3_500)]);
});

test("local replica: another one is asked beside it when it is late, or after the time of a hedge", async () => {
  let slowMs = 0;
  const c = await callee(async () => {
    if (slowMs > 0) await Promise.race([never(), rest(slowMs)]);
    return { payload: Buffer.from("a") };
  });
  for (let i = 0; i < 30; i++) expect(await who(c)).toBe("a");
  slowMs = 3_000;
  expect(await who(c, { hedgeAfterMs: 30 })).toBe("b");
  const startedMs = performance.now();
  expect(await Promise.all([who(c), who(c), who(c)])).toEqual(["b", "b", "b"]);
  expect(performance.now() - startedMs).toBeLessThan(1_500);
  // It is left out now.
  expect(c.takesCalls(0)).toBe(false);
  expect(await who(c)).toBe("b");
});

test("local replica: one that fails again and again is left out", async () => {
  const c = await callee(() => {
    throw new RpcError("NO_QUORUM", "two of three campuses are silent");
  });
  for (let i = 0; i < 5; i++) expect(await who(c)).toBe("b");
  expect(c.takesCalls(0)).toBe(false);
});
