/** `tricampus clean`: removes a stopped platform's data, and nothing that is not its own. */
import { existsSync, readdirSync, rmdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { paths } from "../../services/platform/paths.ts";
import { Platform } from "../../services/platform/platform.ts";
import type { CommandDefinition } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";

export const cleanCommand: CommandDefinition = {
  name: "clean",
  summary: "remove the data of a stopped platform",
  run: async (call) => {
    const platform = Platform.of(call.dataDir);
    if (
      platform === undefined &&
      existsSync(call.dataDir) &&
      readdirSync(call.dataDir).length > 0
    ) {
      throw new Failure(EXIT.usage, `${call.dataDir} is not the data folder of a platform`);
    }
    const running = (await platform?.reports())?.some((report) => report.state !== "down");
    if (running === true) {
      throw new Failure(EXIT.failed, "the platform is running: run `tricampus down` first");
    }
    const left = platform === undefined ? [] : removeData(platform);
    const stays = left.length === 0 ? "" : ` What is not the platform's stays: ${left.join(", ")}.`;
    if (call.json) printJson({ removed: platform !== undefined });
    else if (platform === undefined) console.log("There was no data.");
    else console.log(`Removed ${call.dataDir}.${stays}`);
    return EXIT.ok;
  },
};

/** Returns what is in the folder and not the platform's: it stays. */
function removeData({ config }: Platform): string[] {
  const { dataDir, campuses } = config;
  const remove = (path: string) => rmSync(path, { recursive: true, force: true });
  for (const campus of campuses) {
    remove(paths.control(dataDir, campus));
    remove(join(dataDir, campus));
  }
  remove(paths.secrets(dataDir));
  remove(paths.cli(dataDir));
  remove(paths.drills(dataDir));
  remove(paths.limits(dataDir));
  // Last: until then the folder is recognised as ours, and cleaning can be repeated.
  remove(paths.platform(dataDir));
  const others = readdirSync(dataDir);
  if (others.length === 0) rmdirSync(dataDir);
  return others;
}
