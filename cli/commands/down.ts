/** `tricampus down`: stops every campus; data stays. */
import { Platform } from "../../services/platform/platform.ts";
import type { CommandDefinition } from "../command.ts";
import { EXIT } from "../failure.ts";
import { printJson } from "../output/json.ts";

export const downCommand: CommandDefinition = {
  name: "down",
  summary: "stop the platform; data stays",
  options: [["--quiet", "say nothing when it was not running"]],
  run: async (call) => {
    const platform = Platform.of(call.dataDir);
    const reports = (await platform?.reports()) ?? [];
    const stopped = reports.filter((report) => report.state !== "down").map((r) => r.campus);
    await platform?.stop();
    if (call.json) printJson({ stopped });
    else if (stopped.length > 0) console.log(`Stopped campus ${stopped.join(", ")}; data stays.`);
    else if (call.options.quiet !== true) console.log(`Nothing was running in ${call.dataDir}.`);
    return EXIT.ok;
  },
};
