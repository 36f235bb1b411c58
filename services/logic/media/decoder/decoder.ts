/**
 * The decoder as the service has it: one process, started when it is needed and ended when it was not for a
 * while; one picture at a time. A picture that ends the process, or takes too long, is refused, and the next
 * one has a new process.
 */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { RpcError } from "../../../svrkit/errors.ts";
import { monitor, monitorId } from "../../../svrkit/monitors/monitor.ts";
import type { DecodeJob, DecodeResult, Picture } from "./job.ts";

const IDLE_MS = 30_000;
/** Reading is needed for its own code; no writing, no processes, no workers. */
const PERMISSIONS = ["--permission", "--allow-fs-read=*", "--allow-addons"];

const decoded = monitorId("media.images_decoded");
const ended = monitorId("media.decoders_ended");

export interface DecoderLimits {
  readonly waitingMax: number;
  readonly decodeMsMax: number;
}

interface Waiting {
  readonly job: DecodeJob;
  readonly resolve: (result: DecodeResult) => void;
  readonly reject: (error: unknown) => void;
}

export class Decoder {
  readonly #limits: DecoderLimits;
  readonly #waiting: Waiting[] = [];
  #process: ChildProcess | undefined;
  #running: Waiting | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(limits: DecoderLimits) {
    this.#limits = limits;
  }

  /** Throws INVALID_ARGUMENT for what is no picture, or too large a one. */
  async decode(job: DecodeJob): Promise<{ body: Picture; thumbnail: Picture }> {
    if (this.#waiting.length >= this.#limits.waitingMax) {
      throw new RpcError("OVERLOADED", "too many pictures wait here: try again a little later");
    }
    const result = await new Promise<DecodeResult>((resolve, reject) => {
      this.#waiting.push({ job, resolve, reject });
      this.#next();
    });
    if (result.state === "refused") throw new RpcError("INVALID_ARGUMENT", result.reason);
    monitor.add(decoded, 1);
    return result;
  }

  stop(): void {
    this.#stopped = true;
    this.#end();
    const stopping = new RpcError("UNAVAILABLE", "this process stops: ask another campus");
    for (const { reject } of this.#waiting.splice(0)) reject(stopping);
  }

  #next(): void {
    if (this.#running !== undefined || this.#stopped) return;
    const next = this.#waiting.shift();
    clearTimeout(this.#timer);
    if (next === undefined) {
      this.#timer = setTimeout(() => this.#end(), IDLE_MS).unref();
      return;
    }
    this.#running = next;
    const child = this.#process ?? this.#start();
    this.#timer = setTimeout(() => {
      monitor.add(ended, 1);
      child.kill("SIGKILL");
    }, this.#limits.decodeMsMax);
    child.send(next.job);
  }

  #start(): ChildProcess {
    const child = fork(join(import.meta.dirname, "main.ts"), {
      serialization: "advanced",
      stdio: ["ignore", "ignore", "ignore", "ipc"],
      // It gets nothing that the service knows.
      env: {},
      execArgv: PERMISSIONS,
    });
    this.#process = child;
    child.on("message", (result: DecodeResult) => {
      if (child !== this.#process) return;
      const done = this.#running;
      this.#running = undefined;
      done?.resolve(result);
      this.#next();
    });
    const gone = () => {
      if (child !== this.#process) return;
      this.#process = undefined;
      const lost = this.#running;
      this.#running = undefined;
      lost?.resolve({
        state: "refused",
        reason: "this picture takes too long to read, or cannot be",
      });
      this.#next();
    };
    child.on("exit", gone);
    child.on("error", gone);
    return child;
  }

  #end(): void {
    clearTimeout(this.#timer);
    const child = this.#process;
    this.#process = undefined;
    child?.kill("SIGKILL");
    const lost = this.#running;
    this.#running = undefined;
    lost?.reject(new RpcError("UNAVAILABLE", "this process stops: ask another campus"));
  }
}
