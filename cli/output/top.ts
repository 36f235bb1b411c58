/** What a platform did between two looks at all its processes. Pure. */
import type {
  MethodCalls,
  StatusReply,
} from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { quantileMs } from "../../services/svrkit/monitors/latency.ts";
import { formatTable } from "./table.ts";

export type Statuses = ReadonlyMap<string, StatusReply>;

interface ProcessFigures {
  readonly campus: string;
  readonly process: string;
  /** Of the time, per cent: the event loop's work. */
  readonly busy: number;
  /** The longest that the event loop was late in the last second. */
  readonly loopDelayMs: number;
  readonly memoryMiB: number;
  readonly connections: number;
  readonly waiting: number;
  /** Admission level; 0: everything is admitted. */
  readonly level: number;
}

interface ServiceFigures {
  /** The service as the protos name it. */
  readonly service: string;
  readonly campus: string;
  readonly callsPerSecond: number;
  readonly failedPerSecond: number;
  /** Of those: refused for want of room, or because of overload. */
  readonly rejectedPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface Top {
  readonly seconds: number;
  readonly processes: readonly ProcessFigures[];
  readonly services: readonly ServiceFigures[];
}

/** What a look takes at the most. */
const LOOK_SECONDS = 1;

const REJECTIONS = new Set(["OVERLOADED", "RESOURCE_EXHAUSTED"]);

export function topOf(before: Statuses, after: Statuses, seconds: number): Top {
  const pairs = [...after]
    .map(([name, now]) => ({ now, earlier: sameProcess(before.get(name), now) }))
    .filter(({ now, earlier }) => earlier !== undefined || isYoung(now, seconds));
  return {
    seconds,
    processes: pairs
      .map(({ now, earlier }) => processFigures(now, earlier, seconds))
      .sort((a, b) => compare(a.process, b.process)),
    services: serviceFigures(pairs, seconds),
  };
}

/**
 * One that ran before the first look and did not answer it is left out of this round: all that it ever did would
 * count as done since.
 */
function isYoung({ uptimeMs }: StatusReply, seconds: number): boolean {
  return uptimeMs <= (seconds + LOOK_SECONDS) * 1_000;
}

/** One that was started meanwhile counts from its start. */
function sameProcess(then: StatusReply | undefined, now: StatusReply): StatusReply | undefined {
  return then?.pid === now.pid && then.uptimeMs <= now.uptimeMs ? then : undefined;
}

function processFigures(
  now: StatusReply,
  then: StatusReply | undefined,
  seconds: number,
): ProcessFigures {
  const busyMs = monitorOf(now, "process.busy_ms") - monitorOf(then, "process.busy_ms");
  return {
    campus: now.campus,
    process: now.process,
    busy: Math.min(100, Math.round(busyMs / (10 * Math.min(seconds, now.uptimeMs / 1_000)))),
    loopDelayMs: monitorOf(now, "process.loop_delay_ms"),
    memoryMiB: Math.round(monitorOf(now, "process.memory_bytes") / 2 ** 20),
    connections: monitorOf(now, "svrkit.connections"),
    waiting: monitorOf(now, "svrkit.calls_waiting"),
    level: monitorOf(now, "svrkit.level"),
  };
}

function monitorOf(status: StatusReply | undefined, name: string): number {
  return status?.monitors.find((monitor) => monitor.name === name)?.value ?? 0;
}

interface Sums {
  calls: number;
  failed: number;
  rejected: number;
  latencies: number[];
}

function serviceFigures(
  pairs: readonly { now: StatusReply; earlier: StatusReply | undefined }[],
  seconds: number,
): ServiceFigures[] {
  const sums = new Map<string, Sums>();
  for (const { now, earlier } of pairs) {
    const methods = new Map(earlier?.methods.map((method) => [method.name, method]));
    for (const method of now.methods) {
      const name = `${method.name.split("/")[0]} ${now.campus}`;
      const sum = sums.get(name) ?? { calls: 0, failed: 0, rejected: 0, latencies: [] };
      add(sum, method, methods.get(method.name));
      sums.set(name, sum);
    }
  }
  return [...sums]
    .filter(([, { calls }]) => calls > 0)
    .sort(([a], [b]) => compare(a, b))
    .map(([name, { calls, failed, rejected, latencies }]) => {
      const [service, campus] = name.split(" ");
      const rate = (count: number) => round(count / seconds);
      return {
        ...{ service: service!, campus: campus!, callsPerSecond: rate(calls) },
        ...{ failedPerSecond: rate(failed), rejectedPerSecond: rate(rejected) },
        p50Ms: round(quantileMs(latencies, 0.5)),
        p99Ms: round(quantileMs(latencies, 0.99)),
      };
    });
}

function add(sum: Sums, now: MethodCalls, then: MethodCalls | undefined): void {
  sum.calls += now.arrived - (then?.arrived ?? 0);
  for (const { code, count } of now.failures) {
    const more = count - (then?.failures.find((failure) => failure.code === code)?.count ?? 0);
    sum.failed += more;
    if (REJECTIONS.has(code)) sum.rejected += more;
  }
  now.latencies.forEach((count, bucket) => {
    sum.latencies[bucket] = (sum.latencies[bucket] ?? 0) + count - (then?.latencies[bucket] ?? 0);
  });
}

function round(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(10 * value) / 10;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function formatTop({ processes, services }: Top): string {
  const cells = (row: object) => Object.values(row).map(String);
  const processHead = "campus process busy% late-ms MiB connections waiting level".split(" ");
  const serviceHead = "service campus calls/s failed/s rejected/s p50-ms p99-ms".split(" ");
  return [
    formatTable(processHead, processes.map(cells)),
    "",
    formatTable(serviceHead, services.map(cells)),
  ].join("\n");
}
