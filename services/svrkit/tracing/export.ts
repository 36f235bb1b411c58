/**
 * Spans on their way to a collector, by OpenTelemetry's SDK. Loaded only where
 * OTEL_EXPORTER_OTLP_ENDPOINT is set: the SDK takes longer to load than everything else together. Where to
 * and how is said by OpenTelemetry's own environment variables.
 *
 * Ids are ours, made when the request came in: the SDK's tracer takes them from here.
 */
import {
  SpanKind as OtelKind,
  ROOT_CONTEXT,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { NodeSDK } from "@opentelemetry/sdk-node";
import { type EndedSpan, onSpanEnd, type SpanKind } from "./span.ts";

const KINDS: Readonly<Record<SpanKind, OtelKind>> = {
  entry: OtelKind.SERVER,
  call: OtelKind.SERVER,
  queue: OtelKind.CONSUMER,
};

/** `process`: "a/logic". Returns what hands on the last spans and stops. */
export function exportSpans({ process, campus }: { process: string; campus: string }) {
  let ids = { traceId: "", spanId: "" };
  const sdk = new NodeSDK({
    serviceName: process,
    idGenerator: { generateTraceId: () => ids.traceId, generateSpanId: () => ids.spanId },
    autoDetectResources: false,
    instrumentations: [],
    metricReaders: [],
    logRecordProcessors: [],
  });
  sdk.start();
  const tracer = trace.getTracer("tricampus");
  onSpanEnd((ended) => {
    ids = ended;
    const { startedAtMs, tookMs, code, name, kind, attributes } = ended;
    const options = {
      kind: KINDS[kind],
      startTime: startedAtMs,
      attributes: { ...attributes, "tricampus.campus": campus, "tricampus.code": code },
    };
    const span = tracer.startSpan(name, options, contextAbove(ended));
    if (code !== "OK") span.setStatus({ code: SpanStatusCode.ERROR, message: code });
    span.end(startedAtMs + tookMs);
  });
  return async () => {
    onSpanEnd(undefined);
    await sdk.shutdown();
  };
}

function contextAbove({ traceId, parentId }: EndedSpan) {
  if (parentId === "") return ROOT_CONTEXT;
  const above = { traceId, spanId: parentId, traceFlags: TraceFlags.SAMPLED, isRemote: true };
  return trace.setSpanContext(ROOT_CONTEXT, above);
}
