/** Asks every pod how it is, twice a second, each for itself: one that is silent delays no other. */
import type { StatusReply } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import type { ReachedPod } from "../reach.ts";
import { routedCalls } from "../routed-calls.ts";
import { Clocks } from "./plan/clocks.ts";
import type { Sample } from "./plan/evidence.ts";
import { KeptSamples } from "./plan/kept-samples.ts";
import { Seen } from "./plan/seen.ts";

const EVERY_MS = 500;
const TIMEOUT_MS = 1_000;

export class Sampler {
  readonly seen = new Seen();
  readonly clocks = new Clocks();
  readonly #kept = new KeptSamples();
  readonly #service: string;
  readonly #startMs: number;
  readonly #loops: Promise<void>[];
  #isOver = false;

  /** `service`: the one whose calls are counted; empty: all. `startMs`: monotonic. */
  constructor(pods: readonly ReachedPod[], service: string, startMs: number) {
    this.#service = service;
    this.#startMs = startMs;
    this.#loops = pods.map((pod) => this.#loop(pod));
  }

  /** For the evidence; grows as long as this is not stopped. */
  get samples(): readonly Sample[] {
    return this.#kept.samples;
  }

  /** Told at that time, milliseconds since the start. */
  blocked(atMs: number): void {
    this.seen.blocked(atMs);
    this.#kept.mark(atMs);
  }

  unblocked(atMs: number): void {
    this.#kept.mark(atMs);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  async #loop(pod: ReachedPod): Promise<void> {
    while (!this.#isOver) {
      const askedMs = performance.now();
      const reply = await pod.ask(TIMEOUT_MS);
      const heardMs = performance.now();
      if (reply !== undefined) {
        this.clocks.add(pod.name, { askedMs, heardMs, saidMs: reply.nowMs });
        this.#take(this.#sampleOf(pod.name, reply));
      }
      const leftMs = askedMs + EVERY_MS - performance.now();
      if (leftMs > 0) await new Promise((resolve) => setTimeout(resolve, leftMs));
    }
    pod.stop();
  }

  #take(sample: Sample): void {
    this.seen.add(sample);
    this.#kept.add(sample);
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

/** "Text/Send" is of the service text, "Kv/Batch" of every kvsvr. */
function isOf(method: string, service: string): boolean {
  if (service === "") return true;
  const plain = service.startsWith("kvsvr") ? "kv" : service.replaceAll("-", "");
  return method.split("/")[0]!.toLowerCase() === plain;
}
