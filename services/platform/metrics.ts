/**
 * The monitors and calls of this process as Prometheus reads them. Everything is counted in plain numbers
 * elsewhere and copied out when somebody asks. Monitors keep their names and numbers: "kvsvr.fsyncs", 400,
 * is tricampus_kvsvr_fsyncs_total with the label id="400".
 */
import { type Metric, Registry } from "prom-client";
import { type MethodCalls, queueDelays, readMethodCalls } from "../svrkit/monitors/calls.ts";
import { bucketEndMs, type Latencies } from "../svrkit/monitors/latency.ts";
import { readMonitors } from "../svrkit/monitors/monitor.ts";
import type { ProcessConfig } from "./process-config.ts";

interface Sample {
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
  readonly metricName?: string;
}

interface Copied {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly get: () => { name: string; help: string; type: string; values: Sample[] };
}

/** "text/plain; version=0.0.4; charset=utf-8" */
export const METRICS_TYPE = Registry.PROMETHEUS_CONTENT_TYPE;

export function metricsText({
  name,
  campus,
}: Pick<ProcessConfig, "name" | "campus">): Promise<string> {
  const registry = new Registry();
  registry.setDefaultLabels({ process: name, campus });
  const copied = [...monitorMetrics(), ...callMetrics(readMethodCalls())];
  // A metric is to the registry whatever has a name and can be read: none is counted a second time.
  for (const metric of copied) registry.registerMetric(metric as unknown as Metric);
  return registry.metrics();
}

function copiedOf(
  { name, help, type }: Pick<Copied, "name" | "help" | "type">,
  values: Sample[],
): Copied {
  return { name, help, type, get: () => ({ name, help, type, values }) };
}

function monitorMetrics(): Copied[] {
  return readMonitors().map(({ name, number, kind, unit, description, value }) => {
    const plain = `tricampus_${name.replaceAll(".", "_")}`;
    const facts = { help: `${description} (${unit})`, labels: { id: number } };
    const values = [{ labels: facts.labels, value }];
    return kind === "sum"
      ? copiedOf({ name: `${plain}_total`, help: facts.help, type: "counter" }, values)
      : copiedOf({ name: plain, help: facts.help, type: "gauge" }, values);
  });
}

function callMetrics(methods: readonly MethodCalls[]): Copied[] {
  const asked = methods.filter(({ arrived }) => arrived > 0);
  const histogram = "tricampus_call_seconds";
  return [
    copiedOf(
      { name: "tricampus_calls_total", help: "calls that arrived", type: "counter" },
      asked.map(({ name, arrived }) => ({ labels: { method: name }, value: arrived })),
    ),
    copiedOf(
      { name: "tricampus_call_failures_total", help: "calls by error code", type: "counter" },
      asked.flatMap(({ name, failures }) =>
        [...failures].map(([code, value]) => ({ labels: { method: name, code }, value })),
      ),
    ),
    copiedOf(
      { name: histogram, help: "from a call's arrival to its answer", type: "histogram" },
      asked.flatMap(({ name, latencies }) => samplesOf(histogram, { method: name }, latencies)),
    ),
    copiedOf(
      {
        name: "tricampus_queue_delay_seconds",
        help: "what calls that may be shed waited for their turn",
        type: "histogram",
      },
      samplesOf("tricampus_queue_delay_seconds", {}, queueDelays),
    ),
  ];
}

/** Bounds at every doubling from 16 us: four times as coarse as what is counted. */
const FIRST_BUCKET = 4 * 4 - 1;
const LAST_BUCKET = 4 * 24 - 1;

function samplesOf(name: string, labels: Sample["labels"], { counts, sumMs }: Latencies): Sample[] {
  const samples: Sample[] = [];
  let count = 0;
  counts.forEach((n, bucket) => {
    count += n;
    if (bucket < FIRST_BUCKET || bucket > LAST_BUCKET || bucket % 4 !== 3) return;
    const le = bucketEndMs(bucket) / 1_000;
    samples.push({ labels: { ...labels, le }, value: count, metricName: `${name}_bucket` });
  });
  samples.push(
    { labels: { ...labels, le: "+Inf" }, value: count, metricName: `${name}_bucket` },
    { labels, value: sumMs / 1_000, metricName: `${name}_sum` },
    { labels, value: count, metricName: `${name}_count` },
  );
  return samples;
}
