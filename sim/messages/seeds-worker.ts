/** A thread that runs its share of the seeds; its globals are its own. */
import { parentPort, workerData } from "node:worker_threads";
import { runMessages } from "./run.ts";

const { first, end, step } = workerData as { first: number; end: number; step: number };
for (let seed = first; seed < end; seed += step) parentPort?.postMessage(await runMessages(seed));
