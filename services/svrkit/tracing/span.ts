/**
 * Spans of sampled requests. Each process keeps its last 1,000, so a trace can be gathered without any
 * collector (`tricampus trace`); with one configured they go there too (export.ts).
 */
import { performance } from "node:perf_hooks";
import type { Code } from "../errors.ts";
import { monitor, monitorId } from "../monitors/monitor.ts";
import { childOf, isSampled, newTrace, spanIdOf, traceIdOf } from "./context.ts";

const SPANS_KEPT = 1_000;
const ATTRIBUTES_MAX = 16;

const recorded = monitorId("svrkit.spans");

/** "entry": the request came from outside; "call": a service answers; "queue": an entry is worked off. */
export type SpanKind = "entry" | "call" | "queue";

export interface EndedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** 16 hex digits; empty for the first span of a trace. */
  readonly parentId: string;
  readonly name: string;
  readonly kind: SpanKind;
  /** Milliseconds since 1970, with fractions. */
  readonly startedAtMs: number;
  readonly tookMs: number;
  /** "OK" or an RpcError's code. */
  readonly code: string;
  readonly attributes: Readonly<Record<string, string>>;
}

export class Span {
  /** What calls made within the span carry. */
  readonly context: Uint8Array;
  readonly #parentId: string;
  readonly #name: string;
  readonly #kind: SpanKind;
  readonly #startedMs: number;
  readonly #attributes: Record<string, string> = {};
  #isOpen = true;

  constructor(context: Uint8Array, parentId: string, { name, kind, startedMs }: SpanFacts) {
    this.context = context;
    this.#parentId = parentId;
    this.#name = name;
    this.#kind = kind;
    this.#startedMs = startedMs;
  }

  get traceId(): string {
    return traceIdOf(this.context);
  }

  /** Says what the span is about: ids, never contents. */
  set(name: string, value: string): void {
    if (Object.keys(this.#attributes).length < ATTRIBUTES_MAX) this.#attributes[name] = value;
  }

  /** Counts once. */
  end(code: Code | "OK" = "OK"): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    monitor.add(recorded, 1);
    keep({
      traceId: this.traceId,
      spanId: spanIdOf(this.context),
      parentId: this.#parentId,
      name: this.#name,
      kind: this.#kind,
      startedAtMs: performance.timeOrigin + this.#startedMs,
      tookMs: performance.now() - this.#startedMs,
      code,
      attributes: this.#attributes,
    });
  }
}

interface SpanFacts {
  readonly name: string;
  readonly kind: SpanKind;
  /** Monotonic. */
  readonly startedMs: number;
}

/** The first span of a new trace. */
export function beginTrace(facts: SpanFacts): Span {
  return new Span(newTrace(true), "", facts);
}

/** A span below the one that `trace` names; undefined unless the trace is sampled. */
export function beginSpan(trace: Uint8Array, facts: SpanFacts): Span | undefined {
  return isSampled(trace) ? new Span(childOf(trace), spanIdOf(trace), facts) : undefined;
}

const kept: EndedSpan[] = [];
let next = 0;
let onEnd: ((span: EndedSpan) => void) | undefined;

function keep(span: EndedSpan): void {
  kept[next] = span;
  next = (next + 1) % SPANS_KEPT;
  onEnd?.(span);
}

/** `listener` hears of every span that ends; there is one at most. */
export function onSpanEnd(listener: ((span: EndedSpan) => void) | undefined): void {
  onEnd = listener;
}

/** The spans kept that are of one of the traces, or say so of one of the messages; oldest first. */
export function findSpans(wanted: {
  traceIds: readonly string[];
  messageIds: readonly string[];
}): EndedSpan[] {
  const traces = new Set(wanted.traceIds);
  const messages = new Set(wanted.messageIds);
  const isWanted = ({ traceId, attributes }: EndedSpan) =>
    traces.has(traceId) || messages.has(attributes["message"] ?? "");
  return [...kept.slice(next), ...kept.slice(0, next)].filter(isWanted);
}
