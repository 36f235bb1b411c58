/** A platform of a test's own: in a temporary folder, on free ports, with cheap passwords. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Endpoint } from "../../sdk/endpoints.ts";
import { checkConfig, type PlatformConfigInput } from "../../services/platform/config.ts";
import { findBasePort } from "../../services/platform/free-ports.ts";
import { clientEndpoints } from "../../services/platform/layout.ts";
import { Platform } from "../../services/platform/platform.ts";
import { bringUp } from "../commands/up.ts";
import { type ReplayOutcome, type ReplaySettings, replay } from "../replay/replay.ts";

const CODE = fileURLToPath(new URL("../..", import.meta.url));
const DEMO = join(CODE, "demo");

export const CHEAP_PASSWORDS = { account: { passwordMemoryKib: 8, passwordPasses: 1 } };

export async function makePlatform(layout: PlatformConfigInput["layout"]): Promise<Platform> {
  const dataDir = mkdtempSync(join(tmpdir(), "tricampus-test-"));
  const config = checkConfig({ dataDir, layout, options: CHEAP_PASSWORDS });
  return new Platform({ ...config, basePort: await findBasePort(config) });
}

export async function startPlatform(layout: PlatformConfigInput["layout"]): Promise<Platform> {
  const platform = await makePlatform(layout);
  try {
    await platform.start();
    await bringUp(platform);
    return platform;
  } catch (error) {
    await removePlatform(platform);
    throw error;
  }
}

export async function removePlatform(platform: Platform | undefined): Promise<void> {
  if (platform === undefined) return;
  await platform.kill();
  rmSync(platform.config.dataDir, { recursive: true, force: true });
}

export function endpointsOf({ config }: Platform): Endpoint[] {
  return clientEndpoints(config).map(({ campus, host, port }) => {
    return { campus, url: `ws://${host}:${port}` };
  });
}

/** Replays the demo's conversations, or the first lines of them. */
export function replayDemo(
  platform: Platform,
  settings: Partial<ReplaySettings> & { limit: number },
): Promise<ReplayOutcome> {
  const names = readdirSync(DEMO).filter((name) => name.endsWith(".txt"));
  return replay({
    logPaths: names.sort().map((name) => join(DEMO, name)),
    endpoints: endpointsOf(platform),
    overSeconds: 0,
    steps: [],
    progress: () => {},
    // A lost push costs up to 30 s until the device asks; the ledger does not need to wait for it.
    stillMs: 5_000,
    ...settings,
  });
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line tool as a person would, with `input` typed into it; `code`: another checkout's. */
export function tricampus(
  dataDir: string,
  args: readonly string[],
  { input = "", code = CODE }: { input?: string; code?: string } = {},
): Promise<CommandResult> {
  return new Promise((resolve) => {
    const cache = join(code, "node_modules/.cache/tricampus");
    const env = { NODE_COMPILE_CACHE: cache, ...process.env, TRICAMPUS_DATA: dataDir };
    const child = execFile(
      process.execPath,
      [join(code, "cli/main.ts"), ...args],
      { env },
      (error, stdout, stderr) => {
        const exit = typeof error?.code === "number" ? error.code : error === null ? 0 : -1;
        resolve({ code: exit, stdout, stderr });
      },
    );
    child.stdin?.end(input);
  });
}
