/** Asks every process how it is, twice a second, each for itself: one that is silent delays no other. */
import { Process, type StatusReply } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import type { ServiceName } from "../../services/platform/services.ts";
import type { Callee } from "../../services/svrkit/client.ts";
import type { Reach, ReachedProcess } from "../reach.ts";
import { routedCalls } from "../routed-calls.ts";
import type { Sample } from "./plan/evidence.ts";

const EVERY_MS = 500;
const TIMEOUT_MS = 1_000;
/** Ten hours of twenty processes. */
const SAMPLES_MAX = 1_500_000;

export class Sampler {
  readonly samples: Sample[] = [];
  readonly #reach: Reach;
  readonly #service: string;
  readonly #startMs: number;
  readonly #loops: Promise<void>[];
  #isOver = false;

  /** `service`: the one whose calls are counted; empty: all. `startMs`: monotonic. */
  constructor(reach: Reach, service: string, startMs: number) {
    this.#reach = reach;
    this.#service = service;
    this.#startMs = startMs;
    this.#loops = reach.processes.map((process) => this.#loop(process));
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  async #loop({ name, campus, services }: ReachedProcess): Promise<void> {
    const callee = this.#reach.callee(services[0] as ServiceName, campus);
    while (!this.#isOver && this.samples.length < SAMPLES_MAX) {
      const askedMs = performance.now();
      const reply = await ask(callee);
      if (reply !== undefined) this.samples.push(this.#sampleOf(name, reply));
      const leftMs = askedMs + EVERY_MS - performance.now();
      if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
    }
  }

  #sampleOf(process: string, reply: StatusReply): Sample {
    const count = (name: string) => reply.monitors.find((one) => one.name === name)?.value ?? 0;
    let calls = 0;
    for (const [method, value] of routedCalls(reply))
      if (isOf(method, this.#service)) calls += value;
    return {
      atMs: Math.round(performance.now() - this.#startMs),
      process,
      uptimeMs: reply.uptimeMs,
      requests: count("access.requests"),
      failures: count("access.requests_failed"),
      calls,
      busyMs: count("process.busy_ms"),
      unready: reply.unready,
    };
  }
}

async function ask(callee: Callee): Promise<StatusReply | undefined> {
  try {
    return await callee.call(Process.status, {}, { timeoutMs: TIMEOUT_MS });
  } catch {
    return undefined; // silence is what is then seen
  }
}

/** "Text/Send" is of the service text, "Kv/Batch" of every kvsvr. */
function isOf(method: string, service: string): boolean {
  if (service === "") return true;
  const plain = service.startsWith("kvsvr") ? "kv" : service.replaceAll("-", "");
  return method.split("/")[0]!.toLowerCase() === plain;
}
