/** What is only known of a process when somebody looks: how busy it is, and what it holds. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Admission } from "../svrkit/admission/admission.ts";
import { EVERYTHING } from "../svrkit/admission/priority.ts";
import { processBeat } from "../svrkit/beat.ts";
import { beforeReading, monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import type { Server } from "../svrkit/server.ts";

const busy = monitorId("process.busy_ms");
const loopDelay = monitorId("process.loop_delay_ms");
const memory = monitorId("process.memory_bytes");
const heap = monitorId("process.heap_bytes");
const level = monitorId("svrkit.level");
const inFlight = monitorId("svrkit.calls_in_flight");
const waiting = monitorId("svrkit.calls_waiting");

const DELAY_RESOLUTION_MS = 20;
const DELAY_PERIOD_MS = 1_000;
/** Share of its time; a process that has less to do is late for nothing worth fifty wake-ups a second. */
const BUSY_SHARE = 0.03;

/** Until what is returned is called. */
export function watchProcess(admission: Admission, servers: readonly Server[]): () => void {
  // A timer of libuv's own, without any JavaScript in it.
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  let since = performance.eventLoopUtilization();
  let expectedMs = performance.now() + DELAY_PERIOD_MS;
  const end = processBeat.every(DELAY_PERIOD_MS, () => {
    const now = performance.now();
    const delayMs = Math.max(delay.max / 1e6 - DELAY_RESOLUTION_MS, now - expectedMs, 0);
    expectedMs = now + DELAY_PERIOD_MS;
    monitor.set(loopDelay, Math.round(delayMs));
    delay.reset();
    const { utilization } = performance.eventLoopUtilization(since);
    since = performance.eventLoopUtilization();
    if (utilization < BUSY_SHARE) delay.disable();
    else delay.enable();
  });
  const forget = beforeReading(() => {
    const { rss, heapUsed } = process.memoryUsage();
    monitor.set(busy, Math.round(performance.eventLoopUtilization().active));
    monitor.set(memory, rss);
    monitor.set(heap, heapUsed);
    const levelNow = admission.level(performance.now());
    monitor.set(level, levelNow === EVERYTHING ? 0 : levelNow);
    monitor.set(
      inFlight,
      sumOf(servers, (server) => server.callsInFlight),
    );
    monitor.set(
      waiting,
      sumOf(servers, (server) => server.callsWaiting),
    );
  });
  return () => {
    end();
    delay.disable();
    forget();
  };
}

function sumOf(servers: readonly Server[], of: (server: Server) => number): number {
  return servers.reduce((sum, server) => sum + of(server), 0);
}
