/** Processes that crash all the time, in every campus at once, while something else is looked at. */
import { setTimeout as rest } from "node:timers/promises";
import type { Platform } from "../../services/platform/platform.ts";
import { signal } from "../../services/platform/process-facts.ts";

const PAUSE_MS = 1_000;

/** Kills processes of these names (-9) each second until `ended`; returns how many were killed. */
export async function crashLoop(
  platform: Platform,
  names: readonly string[],
  ended: AbortSignal,
): Promise<number> {
  let killed = 0;
  while (!ended.aborted) {
    const processes = (await platform.reports()).flatMap((report) => report.processes);
    for (const { name, pid } of processes) {
      if (!names.includes(name.split("/")[1]!) || pid === 0) continue;
      signal(pid, "SIGKILL");
      killed += 1;
    }
    await rest(PAUSE_MS, undefined, { signal: ended }).catch(() => {});
  }
  return killed;
}
