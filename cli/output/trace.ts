/** The spans of a trace, which came from many processes, as a tree for people. Pure. */
import type { Span } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { formatTable } from "./table.ts";

export interface PlacedSpan extends Span {
  /** The process that kept it. */
  readonly process: string;
}

/** One block a trace, the oldest first. Clocks of different machines may disagree about begins. */
export function formatTraces(spans: readonly PlacedSpan[]): string {
  const byTrace = Map.groupBy(sorted(spans), ({ traceId }) => traceId);
  return [...byTrace].map(([traceId, inTrace]) => formatTrace(traceId, inTrace)).join("\n\n");
}

function sorted(spans: readonly PlacedSpan[]): PlacedSpan[] {
  return [...spans].sort((a, b) => a.startedAtUs - b.startedAtUs || (a.spanId < b.spanId ? -1 : 1));
}

function formatTrace(traceId: string, spans: readonly PlacedSpan[]): string {
  const startUs = spans[0]!.startedAtUs;
  const endUs = Math.max(...spans.map(({ startedAtUs, tookUs }) => startedAtUs + tookUs));
  const processes = new Set(spans.map(({ process }) => process)).size;
  const ms = (us: number) => (us / 1_000).toFixed(1);
  const rows = depthFirst(spans).map(({ span, depth }) => [
    ms(span.startedAtUs - startUs).padStart(7),
    ms(span.tookUs).padStart(7),
    span.process,
    `${"  ".repeat(depth)}${span.name}`,
    [span.code === "OK" ? "" : span.code, ...aboutOf(span)].filter((word) => word).join(" "),
  ]);
  const head = `trace ${traceId}: ${spans.length} spans in ${processes} processes, ${ms(endUs - startUs)} ms`;
  return `${head}\n${formatTable(["from ms", "took ms", "process", "call", "about"], rows)}`;
}

function aboutOf({ attributes }: PlacedSpan): string[] {
  return attributes.map(({ name, value }) => `${name}=${value}`);
}

/** Those whose parent is not there, for it was kept too long ago, stand at the top. */
function depthFirst(spans: readonly PlacedSpan[]): { span: PlacedSpan; depth: number }[] {
  const ids = new Set(spans.map(({ spanId }) => spanId));
  const children = Map.groupBy(spans, ({ parentId }) => (ids.has(parentId) ? parentId : ""));
  const below = (id: string, depth: number): { span: PlacedSpan; depth: number }[] =>
    (children.get(id) ?? []).flatMap((span) => [{ span, depth }, ...below(span.spanId, depth + 1)]);
  return below("", 0);
}
