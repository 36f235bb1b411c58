/**
 * Opening the state of one replica after kill -9: `--mib` of values in the engine, and `--log-mib` of a log
 * behind the last checkpoint that changes some of them, in no order. Then keys are looked up while the rest of
 * the log is taken in. No replica asks another one here.
 *
 *   node bench/kv-start.ts [--mib 1024] [--log-mib 240] [--bytes 256] [--opens 3] [--dir DIR]
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Keyspace } from "../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { configSchema } from "../services/kvsvr/config.ts";
import { sealDecision } from "../services/kvsvr/protocol/decision.ts";
import { NO_OPERATIONS } from "../services/kvsvr/protocol/operations.ts";
import { systemFiles } from "../services/kvsvr/storage/files.ts";
import { openLmdb } from "../services/kvsvr/storage/lmdb.ts";
import { State } from "../services/kvsvr/storage/state.ts";
import { V8_FLAGS } from "../services/platform/supervisor.ts";
import { createLogger } from "../services/svrkit/log.ts";
import { rest } from "../services/svrkit/rest.ts";
import { percentile } from "./percentile.ts";

const { values } = parseArgs({
  options: {
    mib: { type: "string", default: "1024" },
    "log-mib": { type: "string", default: "240" },
    bytes: { type: "string", default: "256" },
    opens: { type: "string", default: "3" },
    dir: { type: "string" },
    /** What a process of this bench does: "fill" or "open"; none: it starts the others. */
    part: { type: "string" },
  },
});

const MIB = 1024 * 1024;
const BYTES = Number(values.bytes);
/** Checkpoints are left behind by so fast a writer: it waits for them. */
const PRESSED_REST_MS = 50;
const KEYS = Math.floor((Number(values.mib) * MIB) / BYTES);
/** Values that are learned before the next are, so that memory stays small. */
const AT_ONCE = 1_000;
/** Keys asked for when the state is open. */
const LOOK_UPS = 1_000;

/** Memory is looked at so often, by a timer: what a turn of the loop takes and gives back is not seen. */
const MEMORY_EVERY_MS = 50;

process.on("disconnect", () => process.exit(0));
if (values.part === "fill") await fill(values.dir!);
else if (values.part === "open") await measureOpening(values.dir!);
else await measure(values.dir ?? mkdtempSync(join(tmpdir(), "tricampus-bench-")));

async function measure(dir: string): Promise<void> {
  mkdirSync(dir, { recursive: true });
  await runPart("fill", dir);
  const mibOf = (bytes: number) => Math.round(bytes / MIB);
  const logs = readdirSync(dir).filter((name) => name.startsWith("log-"));
  const logMiB = mibOf(logs.reduce((sum, name) => sum + statSync(join(dir, name)).size, 0));
  const engineMiB = mibOf(statSync(join(dir, "state", "state.mdb")).blocks * 512);
  const opens: unknown[] = [];
  for (let i = 0; i < Number(values.opens); i++) opens.push(await runPart("open", dir));
  if (values.dir === undefined) rmSync(dir, { recursive: true });
  console.table(opens);
  console.log(JSON.stringify({ keys: KEYS, bytes: BYTES, engineMiB, logMiB, opens }));
}

/** Runs a part in a process of its own, kills it when it tells its result, and gives that back. */
async function runPart(part: string, dir: string): Promise<unknown> {
  const given = process.argv.slice(2);
  const options = { execArgv: V8_FLAGS };
  const child = fork(import.meta.filename, [...given, "--part", part, "--dir", dir], options);
  const ended = once(child, "exit");
  const failed = ended.then(() => Promise.reject(new Error(`the process for "${part}" failed`)));
  const [result] = await Promise.race([once(child, "message"), failed]);
  child.kill("SIGKILL");
  await ended;
  return result;
}

/** Checkpoints only when told to: with `Infinity` no memory is too much, and none is late. */
function open(dir: string, checkpointBytes = Number.POSITIVE_INFINITY): Promise<State> {
  const { cacheBytes } = configSchema.parse({});
  return State.open({
    engine: openLmdb(join(dir, "state")),
    files: systemFiles,
    dir,
    cacheBytes,
    checkpointBytes,
    checkpointMs: 2 ** 31 - 1,
    log: createLogger({ process: "bench/kv-start", level: "warn" }),
    fatal: (error) => {
      throw error;
    },
  });
}

/** Memory that is this process's own, the engine's file not included, MiB. */
function memory(): number {
  const kib = /^RssAnon:\s+(\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))![1];
  return Math.round(Number(kib) / 1024);
}

/** To hundredths. */
function round(value: number): number {
  return Math.round(value * 100) / 100;
}

async function fill(dir: string): Promise<void> {
  const state = await open(dir, configSchema.parse({}).checkpointBytes);
  await learnMany(state, KEYS, (i) => i);
  await state.close();
  const again = await open(dir);
  const changes = Math.floor((Number(values["log-mib"]) * MIB) / BYTES);
  await learnMany(again, changes, () => Math.floor(Math.random() * KEYS));
  process.send!("filled");
}

async function learnMany(state: State, count: number, keyOf: (n: number) => number): Promise<void> {
  const owner = { replica: 0, incarnation: 1 };
  const value = Buffer.alloc(BYTES, 7);
  for (let n = 0; n < count; n++) {
    const entry = state.entry({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${keyOf(n)}`) });
    const body = { deleted: false, value, operations: NO_OPERATIONS };
    const decision = sealDecision(entry.register.heldVersion + 1, owner, {
      case: "key",
      value: body,
    });
    state.take(entry, { kind: "learn", decision });
    if (n % AT_ONCE < AT_ONCE - 1) continue;
    await state.durable(state.logged);
    while (state.isPressed) await rest(PRESSED_REST_MS);
  }
  await state.durable(state.logged);
}

async function measureOpening(dir: string): Promise<void> {
  let mostSeenRssMiB = 0;
  const look = () => {
    mostSeenRssMiB = Math.max(mostSeenRssMiB, memory());
  };
  setInterval(look, MEMORY_EVERY_MS);
  const startedMs = performance.now();
  const before = process.cpuUsage();
  const seconds = () => round((performance.now() - startedMs) / 1_000);
  const cpuS = () => {
    const { user, system } = process.cpuUsage(before);
    return round((user + system) / 1_000_000);
  };
  const state = await open(dir);
  const opened = { openS: seconds(), openCpuS: cpuS(), openRssMiB: memory() };
  const lookUpsMs: number[] = [];
  // One a millisecond, from the first moment on, while the rest of the log is taken in.
  for (let i = 0; i < LOOK_UPS; i++) {
    const beganMs = performance.now();
    state.entry({ keyspace: Keyspace.ACCOUNT, key: Buffer.from(`key-${(i * 7919) % KEYS}`) });
    lookUpsMs.push(performance.now() - beganMs);
    await rest(1);
  }
  lookUpsMs.sort((a, b) => a - b);
  const [p50, p99, worst] = [0.5, 0.99, 1].map((share) => percentile(lookUpsMs, share));
  while (state.unreplayed > 0) await rest(10);
  const lookUps = { lookUpP50Ms: p50, lookUpP99Ms: p99, lookUpWorstMs: worst };
  look();
  const all = { allS: seconds(), allCpuS: cpuS(), allRssMiB: memory(), mostSeenRssMiB };
  process.send!({ ...opened, ...lookUps, ...all });
}
