/** What this thread has done so far, for admission/: read a few times a second, as each read asks the kernel. */
import type { ThreadTimes } from "./admission/admission.ts";
import { NEVER_SHED } from "./admission/priority.ts";

const timing = performance.nodeTiming;
let sheddableEnded = 0;
let othersEnded = 0;

/** A call that this process made has ended: somebody goes on. */
export function callEnded(priority: number): void {
  if (priority === NEVER_SHED) othersEnded += 1;
  else sheddableEnded += 1;
}

export function readThread(): ThreadTimes {
  const { user, system } = process.threadCpuUsage();
  const usedMs = (user + system) / 1_000;
  return { usedMs, idleMs: timing.idleTime, sheddableEnded, othersEnded };
}
