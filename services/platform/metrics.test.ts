import { expect, test } from "vitest";
import { callsOf } from "../svrkit/monitors/calls.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { metricsText } from "./metrics.ts";

const config = { name: "a/kvsvr", campus: "a" };
const linesOf = async (start: string) =>
  (await metricsText(config)).split("\n").filter((line) => line.startsWith(start));

test("metrics: monitors under their names and numbers, sums as counters and levels as gauges", async () => {
  monitor.add(monitorId("kvsvr.fsyncs"), 12);
  monitor.set(monitorId("kvsvr.behind"), 3);
  expect(await linesOf("tricampus_kvsvr_")).toEqual([
    'tricampus_kvsvr_behind{id="410",process="a/kvsvr",campus="a"} 3',
    'tricampus_kvsvr_fsyncs_total{id="400",process="a/kvsvr",campus="a"} 12',
  ]);
  expect(await linesOf("# TYPE tricampus_kvsvr_")).toEqual([
    "# TYPE tricampus_kvsvr_behind gauge",
    "# TYPE tricampus_kvsvr_fsyncs_total counter",
  ]);
});

test("metrics: calls, their errors by code, and how long they took", async () => {
  const calls = callsOf("tricampus.kv.v1.Kv/Get");
  callsOf("tricampus.kv.v1.Kv/Write"); // served and never called
  calls.arrived = 3;
  calls.failed("NO_QUORUM");
  for (const ms of [0.5, 1.5, 1_000]) calls.latencies.add(ms);
  const who = 'process="a/kvsvr",campus="a"';
  expect(await linesOf("tricampus_calls_total")).toEqual([
    `tricampus_calls_total{method="Kv/Get",${who}} 3`,
  ]);
  expect(await linesOf("tricampus_call_failures_total")).toEqual([
    `tricampus_call_failures_total{method="Kv/Get",code="NO_QUORUM",${who}} 1`,
  ]);
  const lines = await linesOf("tricampus_call_seconds");
  const bucket = (le: string) => lines.find((line) => line.includes(`le="${le}"`))?.split(" ")[1];
  expect(["0.000256", "0.000512", "0.001024", "0.002048", "1.048576", "+Inf"].map(bucket)).toEqual([
    ...["0", "1", "1", "2", "3", "3"],
  ]);
  expect(lines).toContain(`tricampus_call_seconds_sum{method="Kv/Get",${who}} 1.002`);
  expect(lines).toContain(`tricampus_call_seconds_count{method="Kv/Get",${who}} 3`);
});
