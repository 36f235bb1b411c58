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
    if (platform !== undefined) removeData(platform);
    if (call.json) printJson({ removed: platform !== undefined });
    else console.log(platform === undefined ? "There was no data." : `Removed ${call.dataDir}.`);
    return EXIT.ok;
  },
};

function removeData({ config }: Platform): void {
  const { dataDir, campuses } = config;
  const remove = (path: string) => rmSync(path, { recursive: true, force: true });
  for (const campus of campuses) {
    remove(paths.control(dataDir, campus));
    remove(join(dataDir, campus));
  }
  remove(paths.secrets(dataDir));
  remove(paths.cli(dataDir));
  // Last: until then the folder is recognised as ours, and cleaning can be repeated.
  remove(paths.platform(dataDir));
  if (readdirSync(dataDir).length === 0) rmdirSync(dataDir);
}
