/** What the acts have in common that let a process begin anew, from its two others. */
import type { Platform } from "../services/platform/platform.ts";
import { signal } from "../services/platform/process-facts.ts";
import { type PlatformStatus, readStatus } from "./commands/status.ts";
import { EXIT, Failure } from "./failure.ts";

/** Admitted and copied; what takes longer goes on by itself. */
const WAIT_MS = 120_000;
const POLL_MS = 250;

/** Throws unless there is such a campus. */
export function requireCampus(platform: Platform, campus: string): void {
  if (platform.campus(campus) !== undefined) return;
  const names = platform.config.campuses.join(", ");
  throw new Failure(EXIT.usage, `there is no campus "${campus}": there are ${names}`);
}

export function processRow({ processes }: PlatformStatus, name: string) {
  return processes.find(({ process }) => process === name);
}

/**
 * Has the process `name` ("b/kvsvr") find what it is permitted: its supervisor starts it again at once, a
 * campus that is down starts it some time. Resolves when it is well.
 */
export async function beginAnew(
  platform: Platform,
  name: string,
  permit: () => void,
): Promise<void> {
  const before = processRow(await readStatus(platform), name);
  permit();
  if (before === undefined || before.pid === 0) {
    const [campus] = name.split("/");
    throw new Failure(
      EXIT.failed,
      `campus ${campus} is down: it is rebuilt once \`tricampus campus start ${campus}\` ran`,
    );
  }
  signal(before.pid, "SIGTERM");
  const giveUp = performance.now() + WAIT_MS;
  for (;;) {
    const row = processRow(await readStatus(platform), name);
    if (row !== undefined && row.pid !== before.pid && row.health === "ok") return;
    if (performance.now() >= giveUp) {
      const why = row?.trouble || row?.health || "it does not run";
      throw new Failure(EXIT.failed, `not rebuilt after ${WAIT_MS / 1_000} s: ${why}; it goes on`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}
