/**
 * W3C trace context as it travels with calls: 25 bytes, 16 of trace id, 8 of the span that caused what
 * follows, 1 of flags. Bit 0 of the flags, "sampled", is decided once, where the request enters the
 * platform; everybody else only looks at it. Without it nothing is recorded, and a call pays one branch.
 */
import { NO_BYTES } from "../codec.ts";
import { randomBytes } from "../random.ts";

const TRACE_BYTES = 25;
const TRACE_ID_BYTES = 16;
const FLAGS_AT = 24;
const SAMPLED = 1;
const RANDOM_BYTES = 24;
const SPAN_BYTES = 8;

/** Random bytes are drawn for many traces at once: one draw costs more than a whole call's head. */
let pool: Uint8Array = new Uint8Array(0);
let used = 0;

function draw(into: Uint8Array, at: number, bytes: number): void {
  if (used + bytes > pool.length) {
    pool = randomBytes(RANDOM_BYTES * 256);
    used = 0;
  }
  // Byte by byte: a view to copy from would cost more than the copy.
  for (let i = 0; i < bytes; i++) into[at + i] = pool[used + i]!;
  used += bytes;
}

/** A new trace with random ids. */
export function newTrace(sampled = false): Uint8Array {
  const trace = new Uint8Array(TRACE_BYTES);
  draw(trace, 0, RANDOM_BYTES);
  if (sampled) trace[FLAGS_AT] = SAMPLED;
  return trace;
}

/** The same trace under a new span id. */
export function childOf(trace: Uint8Array): Uint8Array {
  const child = Uint8Array.from(trace);
  draw(child, TRACE_ID_BYTES, SPAN_BYTES);
  return child;
}

export function isSampled(trace: Uint8Array): boolean {
  return trace.length === TRACE_BYTES && (trace[FLAGS_AT]! & SAMPLED) !== 0;
}

/** What is worth keeping of a trace beyond the call: nothing, unless it is sampled. */
export function sampledOrNone(trace: Uint8Array | undefined): Uint8Array {
  return trace !== undefined && isSampled(trace) ? trace : NO_BYTES;
}

/** 32 hex digits. */
export function traceIdOf(trace: Uint8Array): string {
  return Buffer.from(trace.subarray(0, TRACE_ID_BYTES)).toString("hex");
}

/**
 * What a log line says of the call that it was written for, among its other fields: the trace, whether it
 * is sampled or not. Nothing when there is none, as in work that no request has caused.
 */
export function inTrace(trace: Uint8Array | undefined): { trace?: string } {
  return trace?.length === TRACE_BYTES ? { trace: traceIdOf(trace) } : {};
}

/** 16 hex digits. */
export function spanIdOf(trace: Uint8Array): string {
  return Buffer.from(trace.subarray(TRACE_ID_BYTES, FLAGS_AT)).toString("hex");
}

/** From a "traceparent" header; undefined when it is none. */
export function parseTraceparent(text: string): Uint8Array | undefined {
  const [, ids, flags] = /^00-([0-9a-f]{32}-[0-9a-f]{16})-([0-9a-f]{2})$/.exec(text) ?? [];
  return ids === undefined ? undefined : Buffer.from(ids.replace("-", "") + flags, "hex");
}
