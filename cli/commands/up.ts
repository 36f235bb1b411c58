/** `tricampus up`: three campuses in the background; returns when they serve. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  ConfigError,
  checkConfig,
  type PlatformConfig,
  type PlatformConfigInput,
} from "../../services/platform/config.ts";
import { lentAmong } from "../../services/platform/free-ports.ts";
import { clientEndpoints, planLayout } from "../../services/platform/layout.ts";
import { paths, readJson } from "../../services/platform/paths.ts";
import { Platform } from "../../services/platform/platform.ts";
import { commandFor } from "../called.ts";
import { type CommandCall, type CommandDefinition, textOption } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { testPlatform } from "../first-test.ts";
import { printJson } from "../output/json.ts";
import { LATE_ADVICE, Waiting } from "../output/waiting.ts";

/** At least so long, and so long for each process: a start takes most of a second of a core. */
const READY_TIMEOUT_MS = 60_000;
const PROCESS_READY_MS = 2_000;
const WAIT_ON = `${LATE_ADVICE}, or wait on with \`tricampus up\``;

/** What a platform is made with, or started with again. */
export const CONFIG_OPTIONS = [
  [
    "--layout <layout>",
    "compact: three processes a campus; modules: media and moments apart; split: all apart",
  ],
  ["--base-port <number>", "first of the ports; each campus takes the next hundred"],
  ["--tls", "services speak TLS, with certificates of the platform's own authority"],
  ["--config <file>", "JSON file with the configuration; the options above win over it"],
] as const;

export const upCommand: CommandDefinition = {
  name: "up",
  summary: "start the platform in the background and wait until it serves",
  options: CONFIG_OPTIONS,
  run: async (call) => {
    const config = readConfig(call);
    const platform = new Platform(config);
    const started = await platform.start();
    await refuseDisturbed(platform);
    await bringUp(platform);
    if (call.json) printJson({ started, dataDir: config.dataDir, endpoints: endpoints(config) });
    else printWelcome(config, started);
    return EXIT.ok;
  },
};

/** What somebody did to a campus on purpose is not undone here. */
async function refuseDisturbed(platform: Platform): Promise<void> {
  const undo: Record<string, string> = { cut: "join", frozen: "thaw" };
  for (const { campus, state } of await platform.reports()) {
    if (undo[state] === undefined) continue;
    const command = `tricampus campus ${undo[state]} ${campus}`;
    throw new Failure(EXIT.failed, `campus ${campus} is ${state}: run \`${command}\``);
  }
}

/**
 * Resolves when every process is ready and a test write has gone through in every campus. `late`: what to do
 * when that takes too long.
 */
export async function bringUp(platform: Platform, late: string = WAIT_ON): Promise<void> {
  const { length } = planLayout(platform.config).processes;
  const timeoutMs = Math.max(READY_TIMEOUT_MS, length * PROCESS_READY_MS);
  const startMs = performance.now();
  const waiting = new Waiting();
  const tell = (open: number) => waiting.tell(`${open} of ${length} processes are not ready yet`);
  try {
    await platform.waitReady(timeoutMs, tell);
  } catch (error) {
    throw new Failure(EXIT.failed, `${(error as Error).message}; ${late}`);
  }
  await testPlatform(platform, Math.max(1_000, startMs + timeoutMs - performance.now()));
}

/**
 * Options, then the file, then what the platform was started with before, then the defaults. KV groups are
 * added while it runs: a file that does not speak of them leaves their number as it is.
 */
export function readConfig(call: CommandCall, defaults: PlatformConfigInput = {}): PlatformConfig {
  const file = textOption(call, "config");
  const basePort = textOption(call, "basePort");
  const layout = textOption(call, "layout");
  const given: PlatformConfigInput = file === undefined ? {} : readConfigFile(file);
  const isFromFile = given.dataDir !== undefined && call.options.dataDir === undefined;
  const dataDir = isFromFile ? given.dataDir : call.dataDir;
  const before = readJson<PlatformConfigInput>(paths.platform(String(dataDir))) ?? {};
  const { kvGroups } = before;
  try {
    return checkConfig({
      ...defaults,
      ...(file === undefined ? before : kvGroups === undefined ? {} : { kvGroups }),
      ...given,
      dataDir,
      ...(layout === undefined ? {} : { layout }),
      ...(basePort === undefined ? {} : { basePort: Number(basePort) }),
      ...(call.options.tls === true ? { tls: true } : {}),
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(inOptions(error.message, { basePort, layout }));
  }
}

/** "basePort: ..." as who wrote `--base-port 80` reads it. */
function inOptions(
  message: string,
  { basePort, layout }: { basePort: string | undefined; layout: string | undefined },
): string {
  if (basePort !== undefined) message = message.replace(/^basePort:/, `--base-port ${basePort}:`);
  return layout === undefined ? message : message.replace(/^layout:/, `--layout ${layout}:`);
}

function readConfigFile(file: string): PlatformConfigInput {
  try {
    const value: unknown = JSON.parse(readFileSync(resolve(file), "utf8"));
    if (typeof value === "object" && value !== null) return value;
    throw new Error("it holds no JSON object");
  } catch (error) {
    throw new ConfigError(`--config ${file}: ${(error as Error).message}`);
  }
}

const endpoints = (config: PlatformConfig) =>
  clientEndpoints(config).map(({ campus, host, port }) => ({
    campus,
    webSocket: `ws://${host}:${port}`,
    http: `http://${host}:${port}`,
  }));

function printWelcome(config: PlatformConfig, started: readonly string[]): void {
  console.log(
    started.length === 0
      ? `Tricampus is running already (${config.layout} layout, data in ${config.dataDir}).`
      : `Tricampus is up: started campus ${started.join(", ")} (${config.layout} layout, data in ${config.dataDir}).`,
  );
  for (const { campus, webSocket, http } of endpoints(config)) {
    console.log(`  campus ${campus}   ${webSocket}   ${http}/v1/<Service>/<Method>`);
  }
  const lent = lentAmong(config);
  if (lent !== undefined) {
    console.log(`Note: some of its ports are among those that this system lends to outgoing connections
  (${lent.join(" to ")}). A process that is started again may find its own taken: choose another --base-port.`);
  }
  console.log("Try next:");
  console.log(`  ${commandFor("status")}`);
  console.log(`  ${commandFor("user register ann --password correct-horse")}`);
  console.log(`  ${commandFor("user register bob --password battery-staple")}`);
  console.log(
    `  ${commandFor("chat ann --to bob")}     # and chat bob --to ann in a second terminal`,
  );
}
