/**
 * `tricampus demo`: the story on one page. A platform of its own, two conversations, campus b killed
 * on the way and started again; then the timeline and the ledger.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { checkConfig } from "../../services/platform/config.ts";
import { findBasePort } from "../../services/platform/free-ports.ts";
import { clientEndpoints } from "../../services/platform/layout.ts";
import { Platform } from "../../services/platform/platform.ts";
import type { CommandDefinition } from "../command.ts";
import { EXIT } from "../failure.ts";
import { replay } from "../replay/replay.ts";
import { isClean } from "../replay/result.ts";
import { stepsOf } from "../replay/steps.ts";
import { printOutcome, printTimeline } from "./replay.ts";
import { bringUp } from "./up.ts";

const CONVERSATIONS = fileURLToPath(new URL("../../demo", import.meta.url));
const OVER_SECONDS = 18;

export const demoCommand: CommandDefinition = {
  name: "demo",
  summary: "two conversations on a platform of their own, one campus killed on the way",
  run: async (call) => {
    const say = (line: string) => console.error(line);
    const dataDir = mkdtempSync(join(tmpdir(), "tricampus-demo-"));
    const config = checkConfig({ dataDir });
    const platform = new Platform({ ...config, basePort: await findBasePort(config) });
    let clean = false;
    const stop = async () => {
      await platform.kill();
      if (clean) rmSync(dataDir, { recursive: true, force: true });
      else say(`the platform's data and logs are kept in ${dataDir}`);
    };
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => void stop().finally(() => process.exit(EXIT.failed)));
    }
    try {
      say("Starting three campuses: a, b and c.");
      await platform.start();
      await bringUp(platform, "the demo wants two cores that are idle: run it again then");
      say("Replaying two conversations; campus b dies at 30 % and comes back at 70 %.");
      const outcome = await replay({
        logPaths: demoFiles(),
        endpoints: clientEndpoints(platform.config).map((e) => ({
          campus: e.campus,
          url: `ws://${e.host}:${e.port}`,
        })),
        limit: Infinity,
        overSeconds: OVER_SECONDS,
        steps: stepsOf({ kind: "kill", campus: "b", at: 0.3, backAt: 0.7 }, platform),
        progress: () => {},
      });
      printTimeline(outcome, call.json);
      printOutcome(outcome, call.json);
      clean = isClean(outcome.result);
      return clean ? EXIT.ok : EXIT.failed;
    } finally {
      await stop();
    }
  },
};

function demoFiles(): string[] {
  const names = readdirSync(CONVERSATIONS).filter((name) => name.endsWith(".txt"));
  return names.sort().map((name) => join(CONVERSATIONS, name));
}
