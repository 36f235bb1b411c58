/** Entry of a campus: `node services/platform/campus-main.ts <data folder> <campus>`. */
import { mkdirSync } from "node:fs";
import { processConfigs } from "./briefing.ts";
import type { PlatformConfig } from "./config.ts";
import { type Command, openControl } from "./control.ts";
import { LogFile } from "./log-file.ts";
import { paths, readJson } from "./paths.ts";
import { agentTlsFiles } from "./secrets.ts";
import { CampusSupervisor } from "./supervisor.ts";

const [dataDir, campus] = process.argv.slice(2);
if (dataDir === undefined || campus === undefined) {
  process.stderr.write("usage: node services/platform/campus-main.ts <data folder> <campus>\n");
  process.exit(2);
}
const configs = readConfigs(dataDir, campus);
if (configs === undefined) {
  process.stderr.write(`${paths.platform(dataDir)} is missing; run \`tricampus up\`\n`);
  process.exit(2);
}
mkdirSync(paths.campus(dataDir, campus), { recursive: true });
const log = new LogFile(paths.log(dataDir, `${campus}/supervisor`));
const say = (text: string) => log.append(`${new Date().toISOString()} ${process.pid} ${text}\n`);
const supervisor = new CampusSupervisor(campus, { dataDir, say });

const control = await openControl(paths.control(dataDir, campus), carryOut);
if (control === undefined) {
  say("another supervisor of this campus is running; leaving it to that one");
  process.exit(0);
}
process.on("SIGHUP", () => say("SIGHUP: the terminal is gone, the campus stays"));
process.once("SIGTERM", () => void stop());
process.once("SIGINT", () => void stop());
supervisor.start(configs);
const stopAgent = await agentOf(readJson<PlatformConfig>(paths.platform(dataDir))!);
say("started");

function readConfigs(dataDir: string, campus: string) {
  const config = readJson<PlatformConfig>(paths.platform(dataDir));
  return config && processConfigs(config, campus);
}

/** Loaded where there is somebody to report to. */
async function agentOf({ campuses, monitorCentre = [], tls, plaintext }: PlatformConfig) {
  if (monitorCentre.length === 0) return undefined;
  const { startAgent } = await import("../monitor/start-agent.ts");
  const centre = monitorCentre.map((address, i) => {
    const [host, port] = address.split(":");
    return { campus: campuses[i]!, host: host!, port: Number(port) };
  });
  const folder = paths.points(dataDir!, campus!);
  const files = tls ? agentTlsFiles(dataDir!, campus!) : undefined;
  return startAgent({ campus: campus!, folder, centre, tls: files, plaintext, say });
}

async function carryOut(command: Command) {
  if (command === "cut") await supervisor.setCut(true);
  if (command === "join") await supervisor.setCut(false);
  if (command === "reload") {
    const now = readConfigs(dataDir!, campus!);
    if (now === undefined) throw new Error(`${paths.platform(dataDir!)} is missing`);
    await supervisor.reload(now);
  }
  // The caller waits for this process to be gone; it only has to know that it was heard.
  if (command === "stop") void stop();
  return supervisor.state;
}

async function stop(): Promise<void> {
  say("stopping");
  await supervisor.stop();
  await stopAgent?.();
  control?.close();
  say("stopped");
  process.exit(0);
}
