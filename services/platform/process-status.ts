/** A process as it tells of itself (protos/tricampus/svrkit/v1/process.proto). */
import type {
  MethodCalls,
  Span,
  SpansReply,
  SpansRequest,
  StatusReply,
} from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { requireArgument } from "../svrkit/errors.ts";
import { readMethodCalls } from "../svrkit/monitors/calls.ts";
import { readMonitors } from "../svrkit/monitors/monitor.ts";
import { readUnreadiness } from "../svrkit/monitors/readiness.ts";
import { readTrouble } from "../svrkit/monitors/trouble.ts";
import { type EndedSpan, findSpans } from "../svrkit/tracing/span.ts";
import type { ProcessConfig } from "./process-config.ts";

const IDS_MAX = 100;

export function statusOf(config: ProcessConfig): StatusReply {
  return {
    process: config.name,
    campus: config.campus,
    pid: process.pid,
    uptimeMs: Math.round(process.uptime() * 1000),
    services: config.services.map((service) => service.name),
    trouble: readTrouble(),
    monitors: readMonitors().map(({ name, number, value }) => {
      return { name, number, value: Math.round(value) };
    }),
    unready: readUnreadiness(),
    methods: methodFigures(),
    nowMs: Date.now(),
  };
}

function methodFigures(): MethodCalls[] {
  return readMethodCalls().map(({ name, arrived, failures, latencies }) => ({
    name,
    arrived,
    failures: [...failures].map(([code, count]) => ({ code, count })),
    latencies: arrived === 0 ? [] : [...latencies.counts],
  }));
}

export function spansOf({ traceIds, messageIds }: SpansRequest): SpansReply {
  requireArgument(
    traceIds.length + messageIds.length <= IDS_MAX,
    `at most ${IDS_MAX} traces and messages can be asked for at once`,
  );
  return { spans: findSpans({ traceIds, messageIds }).map(spanOnWire) };
}

function spanOnWire({ startedAtMs, tookMs, attributes, ...same }: EndedSpan): Span {
  return {
    ...same,
    startedAtUs: Math.round(1_000 * startedAtMs),
    tookUs: Math.round(1_000 * tookMs),
    attributes: Object.entries(attributes).map(([name, value]) => ({ name, value })),
  };
}
