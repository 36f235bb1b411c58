/** A thread that runs its share of the seeds; its globals are its own. */
import { parentPort, workerData } from "node:worker_threads";
import { runSeeds } from "./campaign.ts";

const CHUNK = 20;

const { first, end, step } = workerData as { first: number; end: number; step: number };
for (let at = first; at < end; at += step * CHUNK) {
  const summary = await runSeeds({ first: at, end: Math.min(end, at + step * CHUNK), step });
  parentPort?.postMessage(summary);
}
