/** What a call does when replicas are slow, silent for a moment, overloaded or refuse: over real sockets. */
import { afterEach, expect, test, vi } from "vitest";
import { Echo, type EchoMessage } from "../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import type { Admission } from "./admission/admission.ts";
import { EVERYTHING } from "./admission/priority.ts";
import { type Callee, Client, type ServiceAddress } from "./client.ts";
import { putInForce, USUAL_LIMITS } from "./config/limits-in-force.ts";
import { type Code, RpcError } from "./errors.ts";
import { CALLEE_CALLS_MAX, NEVER_SHED_ROOM } from "./limits.ts";
import { silentLogger } from "./log.ts";
import { rest } from "./rest.ts";
import { type Handler, Server, type ServerOptions } from "./server.ts";
import { Session } from "./transport/session.ts";
import { dial, listen } from "./transport/tcp.ts";

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

async function serve(
  campus: string,
  handler: Handler<EchoMessage, EchoMessage>,
  options: ServerOptions = {},
): Promise<ServiceAddress> {
  const server = new Server({ process: `${campus}/echo`, campus }, silentLogger(), options);
  server.add(Echo.echo, handler);
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  cleanUps.push(() => server.stop());
  return { campus, host: "127.0.0.1", port };
}

function callee(addresses: ServiceAddress[]): Callee {
  const client = new Client({ process: "test", campus: "a" });
  cleanUps.push(() => client.stop());
  return client.callee("echo", addresses, { caller: "test" });
}

const message = { payload: Buffer.from("hello") };
/** Answers when the test is over: a server that stops waits for its handlers. */
const never = () =>
  new Promise<EchoMessage>((resolve) => {
    cleanUps.unshift(() => resolve(message));
  });
const named = (campus: string) => () => ({ payload: Buffer.from(campus) });
const who = async (c: Callee, options = {}) =>
  Buffer.from((await c.call(Echo.echo, message, options)).payload).toString();
const ms = async (act: () => Promise<unknown>) => {
  const startedMs = performance.now();
  await act();
  return performance.now() - startedMs;
};

/** An event loop that is busy for a while: nothing is read, nothing answered. */
function block(forMs: number): void {
  const endMs = performance.now() + forMs;
  while (performance.now() < endMs);
}

test("calls: a replica that takes far longer than usual is left out, until a probe comes back", async () => {
  let slowMs = 0;
  const a = await serve("a", async () => {
    await rest(slowMs);
    return { payload: Buffer.from("a") };
  });
  const c = callee([a, await serve("b", named("b"))]);
  for (let i = 0; i < 30; i++) expect(await who(c)).toBe("a");
  slowMs = 2_000;
  const tookMs = await ms(async () => {
    const answers = await Promise.all([who(c), who(c), who(c)]);
    expect(answers).toEqual(["b", "b", "b"]);
  });
  expect(tookMs).toBeGreaterThan(240);
  expect(tookMs).toBeLessThan(900);
  expect(await ms(() => who(c))).toBeLessThan(100);
  expect(await who(c)).toBe("b");
  slowMs = 0;
  await rest(1_100);
  expect(await who(c)).toBe("a");
  expect(await who(c)).toBe("a");
});

test("calls: a slow replica is left out by who makes one call after the other, too", async () => {
  let slowMs = 0;
  const a = await serve("a", async () => {
    await rest(slowMs);
    return { payload: Buffer.from("a") };
  });
  const c = callee([a, await serve("b", named("b"))]);
  for (let i = 0; i < 30; i++) expect(await who(c)).toBe("a");
  slowMs = 800;
  for (let i = 0; i < 3; i++) {
    expect(await who(c)).toBe("b");
    // Its answer comes meanwhile: too late to speak for it.
    await rest(800);
  }
  expect(c.takesCalls(0)).toBe(false);
  for (let i = 0; i < 4; i++) {
    await rest(1_100);
    // With or without a probe.
    expect(await who(c)).toBe("b");
  }
  expect(c.takesCalls(0)).toBe(false);
  expect(c.typical(Echo.echo.hash).lateAfterMs).toBe(250);
});

test("calls: a slow replica is left out when it alone is asked, but not for waiting", async () => {
  let slowMs = 0;
  const slow = async () => {
    await rest(slowMs);
    return message;
  };
  const c = callee([await serve("a", slow), await serve("b", slow)]);
  const one = (index: number, waits: boolean) => c.callOne(index, Echo.echo, message, { waits });
  for (let i = 0; i < 25; i++) await Promise.all([one(0, false), one(1, true)]);
  slowMs = 900;
  for (let i = 0; i < 3; i++) await Promise.all([one(0, false), one(1, true)]);
  expect([c.takesCalls(0), c.takesCalls(1)]).toEqual([false, true]);
});

test("calls: who is in a hurry leaves nobody out, and who had time enough does", async () => {
  let takesMs = 150;
  const a = await serve("a", async () => {
    await rest(takesMs);
    return message;
  });
  const c = callee([a, await serve("b", named("b"))]);
  const failing = (timeoutMs: number) =>
    Promise.all(Array.from({ length: 6 }, () => who(c, { timeoutMs }).catch(({ code }) => code)));
  for (let i = 0; i < 3; i++) await who(c);
  expect(await failing(40)).toContain("DEADLINE_EXCEEDED");
  expect(c.takesCalls(0)).toBe(true);
  takesMs = 4_000;
  expect(new Set(await failing(2_200))).toEqual(new Set(["DEADLINE_EXCEEDED"]));
  expect(c.takesCalls(0)).toBe(false);
});

test("calls: a late answer still counts when it comes first", async () => {
  let slowMs = 0;
  const slow = (campus: string) => async () => {
    await rest(slowMs);
    return { payload: Buffer.from(campus) };
  };
  const c = callee([await serve("a", slow("a")), await serve("b", slow("b"))]);
  for (let i = 0; i < 30; i++) await who(c);
  slowMs = 450;
  expect(await who(c)).toBe("a");
});

test("calls: beside a slow replica the third is asked when the second cannot be reached, or refuses", async () => {
  let slowMs = 0;
  const slow = async () => {
    await rest(slowMs);
    return { payload: Buffer.from("a") };
  };
  const a = await serve("a", slow);
  const dead = { campus: "b", host: "127.0.0.1", port: 1 };
  const refusing = await serve("b", () => {
    throw new RpcError("UNAVAILABLE", "not now");
  });
  const third = await serve("c", named("c"));
  const callees = [callee([a, dead, third]), callee([a, refusing, third])];
  for (let i = 0; i < 25; i++) for (const c of callees) expect(await who(c)).toBe("a");
  slowMs = 1_500;
  const left: number[] = [];
  for (const c of callees) {
    const all = () => Promise.all(Array.from({ length: 12 }, () => who(c)));
    const tookMs = await ms(async () => expect(new Set(await all())).toEqual(new Set(["c"])));
    expect(tookMs).toBeLessThan(900);
    let count = 0;
    for (const nowMs = performance.now(); c.budget.spend(nowMs); ) count += 1;
    left.push(count);
  }
  // Half of them ask b first: that is paid for where b worked for it. Time gives some back.
  expect(left[0]! - left[1]!).toBeGreaterThanOrEqual(2);
});

test("calls: a hedged read asks another replica after its time, and takes the first answer", async () => {
  const c = callee([await serve("a", never), await serve("b", named("b"))]);
  const tookMs = await ms(async () => expect(await who(c, { hedgeAfterMs: 30 })).toBe("b"));
  expect(tookMs).toBeLessThan(200);
  await expect(who(c, { timeoutMs: 200 })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
});

test("calls: each call beside another is paid for, however long the connection for one takes", async () => {
  let isWell = true;
  const a = await serve("a", () => (isWell ? message : never()));
  const [b, c] = [await serve("b", never), await serve("c", never)];
  const client = new Client({ process: "test", campus: "a" });
  cleanUps.push(() => client.stop());
  let connecting = 0;
  const addresses = [a, b, c].map(({ campus, host, port }, i) => ({
    ...{ campus, label: campus },
    dial: async (timeoutMs: number) => {
      connecting += 1;
      if (i > 0) await rest(200);
      return dial({ host, port }, timeoutMs);
    },
  }));
  const replicas = client.calleeFrom("echo", addresses, { caller: "test" });
  for (let i = 0; i < 25; i++) await who(replicas);
  isWell = false;
  const paid = vi.spyOn(replicas.budget, "spend");
  // Late after 250 ms, looked for every 50: while one beside it connects, the hedge's time comes.
  await who(replicas, { hedgeAfterMs: 400, timeoutMs: 900 }).catch(() => {});
  expect(connecting).toBe(3);
  expect(paid.mock.results.filter(({ value }) => value).length).toBe(2);
});

test("calls: a replica that was left out comes back to hedged reads, and to who asks it alone", async () => {
  const replicas = async () => {
    const a = await serve("a", async () => {
      await rest(150);
      return { payload: Buffer.from("a") };
    });
    const c = callee([a, await serve("b", named("b"))]);
    for (let i = 0; i < 5; i++) {
      const falls = new RpcError("UNAVAILABLE", "it falls");
      c.failed(1, falls, { method: Echo.echo.hash, hadMs: 1 });
    }
    return c;
  };
  const hedged = await replicas();
  const alone = await replicas();
  expect(await who(hedged, { hedgeAfterMs: 20 })).toBe("a");
  await rest(1_000);
  expect(await who(hedged, { hedgeAfterMs: 20 })).toBe("b");
  expect(hedged.takesCalls(1)).toBe(true);
  expect(alone.takesCalls(1)).toBe(false);
  await alone.callOne(1, Echo.echo, message);
  expect(alone.takesCalls(1)).toBe(true);
});

/** An admission with a fixed level. */
function fixedLevel(level: () => number): Admission & { arrived: number } {
  return {
    arrived: 0,
    level,
    arrive(priority) {
      this.arrived += 1;
      return priority < level();
    },
    start: () => true,
    ended: () => {},
    expired: () => {},
    passed: () => {},
    worked: () => {},
    laterMs: 0,
  };
}

test("overload: a refused call tries one other replica, then fails; what would be refused is not sent", async () => {
  let levelOfB = EVERYTHING;
  const inA = fixedLevel(() => 100);
  const inB = fixedLevel(() => levelOfB);
  const inC = fixedLevel(() => 100);
  const c = callee([
    await serve("a", named("a"), { admission: inA }),
    await serve("b", named("b"), { admission: inB }),
    await serve("c", named("c"), { admission: inC }),
  ]);
  expect(await who(c, { priority: 99 })).toBe("a");
  expect(inA.arrived).toBe(1);
  // Its level came with the answer: the next ones are not even sent there.
  const answers = [await who(c, { priority: 100 }), await who(c, { priority: 100 })];
  expect(answers.sort()).toEqual(["b", "b"]);
  expect(inA.arrived).toBe(1);
  levelOfB = 50;
  await who(c, { priority: 10, order: [1] });
  await who(c, { priority: 10, order: [2] });
  const refused = who(c, { priority: 200 });
  await expect(refused).rejects.toMatchObject({ code: "OVERLOADED" });
  expect([inA.arrived, inB.arrived, inC.arrived]).toEqual([1, expect.any(Number), 2]);
  // Priority 0 is never shed.
  expect(await who(c, { priority: 0 })).toBe("a");
  expect(inA.arrived).toBe(1);
});

test("overload: nothing was done is not said of a call that another replica may have carried out", async () => {
  const shed = await serve("b", named("b"), { admission: fixedLevel(() => 100) });
  const options = { priority: 200, timeoutMs: 1_000 };
  const failing = (code: Code) => () => {
    throw new RpcError(code, "half of it is done");
  };
  for (const code of ["NO_QUORUM", "UNAVAILABLE", "STORAGE_REFUSED"] as const) {
    const c = callee([await serve("a", failing(code)), shed]);
    await expect(who(c, options), code).rejects.toMatchObject({ code: "UNAVAILABLE" });
  }
  const local = new Server({ process: "a/all", campus: "a" }, silentLogger());
  local.add(Echo.echo, failing("NO_QUORUM"));
  const client = new Client({ process: "a/all", campus: "a" });
  cleanUps.push(() => client.stop());
  const addresses = [{ campus: "a", host: "127.0.0.1", port: 1 }, shed];
  const beside = client.callee("echo", addresses, { caller: "test", local });
  await expect(who(beside, options)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  // Who was not reached has done nothing.
  const c = callee([{ campus: "a", host: "127.0.0.1", port: 1 }, shed]);
  await expect(who(c, options)).rejects.toMatchObject({ code: "OVERLOADED" });
});

test("overload: a level that was not told again for half a second is not believed any more", async () => {
  let level = 100;
  const inA: Handler<EchoMessage, EchoMessage> = (_, { priority }) =>
    priority === 1 ? never() : named("a")();
  const a = await serve("a", inA, { admission: fixedLevel(() => level) });
  const c = callee([a]);
  await who(c, { priority: 5 });
  await expect(who(c, { priority: 200 })).rejects.toMatchObject({ code: "OVERLOADED" });
  level = EVERYTHING;
  await expect(who(c, { priority: 200 })).rejects.toMatchObject({ code: "OVERLOADED" });
  // While this one is open signs of life come, which do not tell it again.
  const open = who(c, { priority: 1, timeoutMs: 2_000 }).catch(() => {});
  await rest(550);
  expect(await who(c, { priority: 200 })).toBe("a");
  await open;
});

test("overload: a process full of calls still takes those that are never shed, and others go elsewhere", async () => {
  putInForce({ ...USUAL_LIMITS, callsInFlightMax: 5 });
  cleanUps.push(() => putInForce(USUAL_LIMITS));
  const inA: Handler<EchoMessage, EchoMessage> = (_, { priority }) =>
    priority === 0 ? named("a")() : never();
  const c = callee([await serve("a", inA), await serve("b", named("b"))]);
  const waiting = Array.from({ length: 5 }, () =>
    c.callOne(0, Echo.echo, message, { priority: 7, timeoutMs: 1_000 }).catch(() => {}),
  );
  const one = (priority: number) => c.callOne(0, Echo.echo, message, { priority });
  await expect(one(7)).rejects.toMatchObject({ code: "OVERLOADED", retryable: true });
  expect(await who(c, { priority: 7 })).toBe("b");
  expect(Buffer.from((await one(0)).payload).toString()).toBe("a");
  await Promise.all(waiting);
});

test("overload: what waits in the server when its caller's time is over is not carried out", async () => {
  let carriedOut = 0;
  const a = await serve("a", () => {
    carriedOut += 1;
    block(20);
    return message;
  });
  const c = callee([a]);
  await who(c, { priority: 1 });
  const calls = Array.from({ length: 20 }, () =>
    who(c, { priority: 1, timeoutMs: 100 }).catch(() => {}),
  );
  await Promise.all(calls);
  await rest(100);
  expect(carriedOut).toBeLessThan(12);
});

test("calls: a replica whose event loop stands still for a moment keeps its connection", async () => {
  const { Worker } = await import("node:worker_threads");
  const worker = new Worker(new URL("./testing/echo-worker.ts", import.meta.url));
  cleanUps.push(() => worker.terminate());
  const port = await new Promise<number>((resolve) => worker.once("message", resolve));
  const a = { campus: "a", host: "127.0.0.1", port };
  const c = callee([a, await serve("b", named("b"))]);
  expect(await who(c)).toBe("hello");
  const shared = new Int32Array(new SharedArrayBuffer(4));
  worker.postMessage(shared);
  await expect.poll(() => Atomics.load(shared, 0), { interval: 1 }).toBe(1);
  const tookMs = await ms(async () => expect(await who(c)).toBe("b"));
  expect(tookMs).toBeLessThan(400);
  expect(await who(c)).toBe("b");
  Atomics.store(shared, 0, 2);
  Atomics.notify(shared, 0);
  await expect.poll(() => who(c)).toBe("hello");
});

test("calls: a caller that stood still itself does not take it for its replica's lateness", async () => {
  const { Worker } = await import("node:worker_threads");
  const worker = new Worker(new URL("./testing/echo-worker.ts", import.meta.url));
  cleanUps.push(() => worker.terminate());
  const port = await new Promise<number>((resolve) => worker.once("message", resolve));
  const c = callee([{ campus: "a", host: "127.0.0.1", port }, await serve("b", named("b"))]);
  for (let i = 0; i < 30; i++) expect(await who(c)).toBe("hello");
  const usualMs = c.typical(Echo.echo.hash).enoughMs;
  const five = Array.from({ length: 5 }, () => who(c));
  const hurried = Array.from({ length: 5 }, () => who(c, { timeoutMs: 300 }).catch(() => "late"));
  // They are sent, and the answers lie unread.
  for (let turns = 0; turns < 3; turns++) await new Promise(setImmediate);
  block(400);
  expect(new Set(await Promise.all(five))).toEqual(new Set(["hello"]));
  await Promise.all(hurried);
  expect(c.takesCalls(0)).toBe(true);
  // It has learnt nothing from that: ten calls of 400 ms would have added some 1,500.
  expect(c.typical(Echo.echo.hash).enoughMs).toBeLessThan(usualMs + 150);
});

test("calls: when every replica refuses, hardly any call is repeated beyond the budget", async () => {
  let attempts = 0;
  const refuse = () => {
    attempts += 1;
    throw new RpcError("UNAVAILABLE", "not now");
  };
  const c = callee([await serve("a", refuse), await serve("b", refuse)]);
  const calls = Array.from({ length: 300 }, () => who(c, { timeoutMs: 800 }).catch((e) => e.code));
  expect(new Set(await Promise.all(calls))).toEqual(new Set(["UNAVAILABLE"]));
  // 300 first ones, 50 saved, a tenth, ten at once and ten a second.
  expect(attempts).toBeLessThanOrEqual(300 + 50 + 30 + 20);
});

test("calls: those under which one connection after the other ends are repeated within the budget", async () => {
  let attempts = 0;
  const fall = async (campus: string): Promise<ServiceAddress> => {
    const end = (session: Session) => {
      attempts += 1;
      // What came along with this call counts as well.
      setTimeout(() => session.close("a fall"), 1);
    };
    const listener = await listen({ host: "127.0.0.1", port: 0 }, (wire) => {
      new Session(wire, { process: `${campus}/echo`, campus }, { request: end });
    });
    cleanUps.push(() => listener.close());
    const { port } = listener.address() as { port: number };
    return { campus, host: "127.0.0.1", port };
  };
  const c = callee([await fall("a"), await fall("b"), await fall("c")]);
  const calls = Array.from({ length: 300 }, () =>
    who(c, { timeoutMs: 1_500 }).catch((e) => e.code),
  );
  expect(new Set(await Promise.all(calls))).toEqual(new Set(["UNAVAILABLE"]));
  // 300 first ones, 300 at the next replica, 50 saved, a tenth, ten at once and ten a second.
  expect(attempts).toBeGreaterThan(600);
  expect(attempts).toBeLessThanOrEqual(300 + 300 + 50 + 30 + 30);
});

test("calls: one service cannot have all the calls of a process", async () => {
  const c = callee([await serve("a", never)]);
  const other = callee([await serve("b", named("b"))]);
  const open = (priority: number, length: number) =>
    Array.from({ length }, () =>
      c.call(Echo.echo, message, { timeoutMs: 400, priority }).catch(() => {}),
    );
  const calls = open(7, CALLEE_CALLS_MAX);
  await expect(who(c, { priority: 7 })).rejects.toMatchObject({ code: "OVERLOADED" });
  // Those that are never shed have room of their own, which has an end, too.
  calls.push(...open(0, NEVER_SHED_ROOM));
  await expect(who(c, { priority: 0 })).rejects.toMatchObject({ code: "UNAVAILABLE" });
  expect(await who(other)).toBe("b");
  await Promise.all(calls);
  await expect(who(c, { timeoutMs: 50 })).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
});
