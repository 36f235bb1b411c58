/**
 * Echo calls side by side: svrkit, grpc-js unary, grpc-js with one stream both ways. One client and one
 * server process over TCP on loopback.
 *
 *   node bench/echo.ts [--seconds 2] [--only svrkit]
 *
 * svrkit's calls carry a deadline, a priority, a trace context and one of 10,000 users' tickets, which the
 * server verifies at every call, with a cache of 2,000 tickets ready. What all that costs is measured against
 * bare calls, alternating. Last, calls at half the rate that was reached, in open loop.
 */
import { fork, spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { Echo } from "../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { V8_FLAGS } from "../services/platform/supervisor.ts";
import { bucketOf, priorityOf } from "../services/svrkit/admission/priority.ts";
import { type CallOptions, monotonicMs } from "../services/svrkit/call.ts";
import { Client } from "../services/svrkit/client.ts";
import { newTrace } from "../services/svrkit/tracing/context.ts";
import { grpcStream, grpcUnary } from "./echo/grpc.ts";
import { type Caller, closedLoop, type Measured, openLoop } from "./echo/load.ts";
import { makeUsers, TICKETS, type Users } from "./echo/tickets.ts";

// Client and server run as the product's processes do; a child has its parent's flags.
if (!process.execArgv.includes(V8_FLAGS[0]!)) {
  const args = [...V8_FLAGS, ...process.argv.slice(1)];
  process.exit(spawnSync(process.execPath, args, { stdio: "inherit" }).status ?? 1);
}

const { values } = parseArgs({
  options: { seconds: { type: "string", default: "2" }, only: { type: "string", default: "" } },
});
const seconds = Number(values.seconds);
const BYTES = [20, 256];
const IN_FLIGHT = [1, 16, 256];
const LARGE = { bytes: 256, inFlight: 256 };
const ROUNDS = 24;
const ROUND_SECONDS = 0.4;
const DEADLINE_MS = 5_000;

const users = makeUsers(TICKETS);
const { svrkit, grpc, server } = await startServer(users.publicKey);
const callers: Record<string, () => Caller> = {
  svrkit: () => svrkitCaller(svrkit, users),
  grpcUnary: () => grpcUnary(grpc),
  grpcStream: () => grpcStream(grpc),
};
const names = Object.keys(callers).filter((name) => values.only === "" || name === values.only);
const rows: Record<string, Measured> = {};
for (const bytes of BYTES) {
  for (const inFlight of IN_FLIGHT) {
    for (const name of names) {
      const row = `${name}, ${bytes} B, ${inFlight} in flight`;
      rows[row] = await using(callers[name]!, (c) => closedLoop(c, { bytes, inFlight, seconds }));
    }
  }
}
printSideBySide();
const cost = await costOfContext();
console.table({ bare: cost.bare, withContext: cost.withContext });
const atHalf = await using(callers["svrkit"]!, (caller) =>
  openLoop(caller, {
    bytes: LARGE.bytes,
    perSecond: cost.withContext.perSecond / 2,
    seconds: 2 * seconds,
  }),
);
console.log(`open loop at half load: ${JSON.stringify(atHalf)}`);
server.disconnect();
const rate = (name: string) => rows[`${name}, 256 B, 256 in flight`]?.perSecond ?? 0;
const share = cost.withContext.cpuUs / cost.bare.cpuUs - 1;
console.table([
  { goal: "svrkit, 256 B, 256 in flight", wanted: ">= 100,000/s", measured: rate("svrkit") },
  {
    goal: "times grpc-js unary",
    wanted: ">= 5",
    measured: (rate("svrkit") / rate("grpcUnary")).toFixed(1),
  },
  {
    goal: "cost of deadline, priority, trace, ticket",
    wanted: "<= 15 %",
    measured: `${(100 * share).toFixed(1)} %`,
  },
  { goal: "p99 at half load", wanted: "<= 2 ms", measured: `${atHalf.p99Ms} ms` },
]);
console.log(
  JSON.stringify({
    svrkit: rate("svrkit"),
    grpcUnary: rate("grpcUnary"),
    grpcStream: rate("grpcStream"),
    contextCost: Math.round(1_000 * share) / 1_000,
    halfLoad: atHalf,
    shed: Object.values(rows).reduce((sum, { shed }) => sum + shed, 0) + cost.shed,
  }),
);

/** One row a load, one column a way to call; the JSON line has the rest. */
function printSideBySide(): void {
  const cell = ({ perSecond, p50Ms, p99Ms, shed }: Measured) =>
    `${perSecond}/s, ${p50Ms} / ${p99Ms} ms${shed === 0 ? "" : `, ${shed} shed`}`;
  console.log("echoes a second, p50 / p99");
  console.table(
    Object.fromEntries(
      BYTES.flatMap((bytes) =>
        IN_FLIGHT.map((inFlight) => {
          const load = `${bytes} B, ${inFlight} in flight`;
          return [load, Object.fromEntries(names.map((n) => [n, cell(rows[`${n}, ${load}`]!)]))];
        }),
      ),
    ),
  );
}

async function startServer(publicKey: string) {
  const child = fork(new URL("echo/server.ts", import.meta.url));
  child.send({ publicKey });
  const ports = await new Promise<{ svrkit: number; grpc: number }>((resolve) =>
    child.once("message", (message) => resolve(message as { svrkit: number; grpc: number })),
  );
  return { ...ports, server: child };
}

async function using(make: () => Caller, run: (c: Caller) => Promise<Measured>): Promise<Measured> {
  const caller = make();
  try {
    return await run(caller);
  } finally {
    caller.close();
  }
}

/** `users` undefined: bare calls. */
function svrkitCaller(port: number, from: Users | undefined): Caller {
  const client = new Client({ process: "bench/client", campus: "a" });
  const address = { campus: "b", host: "127.0.0.1", port };
  const echo = client.callee("echo", [address], { caller: "bench" });
  const bare: CallOptions = {};
  const priorities = from?.tickets.map((_, i) => priorityOf("message", bucketOf(`${i}`, 0)));
  const contextOf = (): CallOptions => {
    const user = Math.floor(Math.random() * TICKETS);
    return {
      deadlineMs: monotonicMs() + DEADLINE_MS,
      priority: priorities![user]!,
      ticket: from!.tickets[user]!,
      trace: newTrace(),
    };
  };
  return {
    call: async (payload) => {
      const options = from === undefined ? bare : contextOf();
      return (await echo.call(Echo.echo, { payload }, options)).payload.length;
    },
    close: () => client.stop(),
  };
}

/**
 * The same calls with and without, alternating in short rounds, so that whatever else the machine does
 * meets both alike. What a call costs is CPU time, of client and server together: rates are shared with
 * others, and a loop that waits for its core is slower without having more to do.
 */
async function costOfContext() {
  const callers = {
    bare: svrkitCaller(svrkit, undefined),
    withContext: svrkitCaller(svrkit, users),
  };
  const rounds = { bare: [] as Round[], withContext: [] as Round[] };
  const load = { ...LARGE, seconds: ROUND_SECONDS };
  let shed = 0;
  try {
    for (let i = 0; i < ROUNDS; i++) {
      for (const name of ["bare", "withContext"] as const) {
        const before = await cpuUs();
        const found = await closedLoop(callers[name], { ...load, warmUpMs: 0 });
        const usedUs = (await cpuUs()) - before;
        const calls = found.perSecond * ROUND_SECONDS;
        rounds[name].push({ perSecond: found.perSecond, cpuUs: usedUs / calls });
        shed += found.shed;
      }
    }
  } finally {
    for (const caller of Object.values(callers)) caller.close();
  }
  return { shed, bare: medianOf(rounds.bare), withContext: medianOf(rounds.withContext) };
}

interface Round {
  readonly perSecond: number;
  /** CPU time of a call, client and server together. */
  readonly cpuUs: number;
}

/** Without the first rounds, in which code is compiled and tickets are seen for the first time. */
function medianOf(rounds: readonly Round[]): Round {
  const settled = rounds.slice(ROUNDS / 4);
  const median = (of: keyof Round) =>
    settled.map((round) => round[of]).sort((a, b) => a - b)[Math.floor(settled.length / 2)]!;
  return { perSecond: median("perSecond"), cpuUs: Math.round(100 * median("cpuUs")) / 100 };
}

/** CPU time of this process and of the server so far. */
async function cpuUs(): Promise<number> {
  const told = new Promise<number>((resolve) =>
    server.once("message", (message) => resolve(message as number)),
  );
  server.send("cpu");
  const { user, system } = process.cpuUsage();
  return user + system + (await told);
}
