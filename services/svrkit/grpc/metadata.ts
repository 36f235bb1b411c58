/**
 * What svrkit's request head says, as gRPC metadata (names in small letters; "-bin" is bytes):
 *
 *   tricampus-caller             the calling service; with TLS its certificate must name it
 *   tricampus-ticket-bin         the user's ticket
 *   tricampus-operation-id-bin   16 bytes, the same for every attempt
 *   tricampus-priority           a number, admission/priority.ts; default: the least important class
 *   traceparent                  W3C trace context
 *
 * The deadline is gRPC's own.
 */
import type { Metadata } from "@grpc/grpc-js";
import type { RequestHead } from "../../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import { EVERYTHING, priorityOf, USER_BUCKETS } from "../admission/priority.ts";
import { DEFAULT_TIMEOUT_MS } from "../call.ts";
import { NO_BYTES } from "../codec.ts";
import { parseTraceparent } from "../tracing/context.ts";

/** No call may take longer, whatever its client says. */
const TIMEOUT_MS_MAX = 600_000;

/** `deadline`: as gRPC has it, by the clock; Infinity when the client gave none. */
export function headOf(method: number, metadata: Metadata, deadline: Date | number): RequestHead {
  const leftMs = Number(deadline) - Date.now();
  return {
    callId: 0,
    method,
    timeoutMs: Number.isFinite(leftMs) ? clamp(leftMs, 0, TIMEOUT_MS_MAX) : DEFAULT_TIMEOUT_MS,
    operationId: bytesOf(metadata, "tricampus-operation-id-bin"),
    ticket: bytesOf(metadata, "tricampus-ticket-bin"),
    caller: textOf(metadata, "tricampus-caller"),
    trace: parseTraceparent(textOf(metadata, "traceparent")) ?? NO_BYTES,
    priority: priorityIn(textOf(metadata, "tricampus-priority")),
  };
}

function priorityIn(text: string): number {
  const least = priorityOf("other", Math.floor(Math.random() * USER_BUCKETS));
  return /^\d{1,6}$/.test(text) ? Math.min(Number(text), EVERYTHING - 1) : least;
}

function bytesOf(metadata: Metadata, name: string): Uint8Array {
  const [value] = metadata.get(name);
  return value instanceof Buffer ? value : NO_BYTES;
}

function textOf(metadata: Metadata, name: string): string {
  const [value] = metadata.get(name);
  return typeof value === "string" ? value : "";
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, Math.ceil(value)));
}
