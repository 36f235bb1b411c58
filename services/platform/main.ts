/** Entry of one process: `node services/platform/main.ts <process-config.json> [--cut]`. */
import { watchForStops } from "../svrkit/stall.ts";
import { border } from "../svrkit/transport/border.ts";
import { runProcess } from "./process.ts";
import { readProcessConfig } from "./process-config.ts";

const [path, ...flags] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write("usage: node services/platform/main.ts <process-config.json> [--cut]\n");
  process.exit(2);
}
// A process that is born in a campus that is cut off is cut off from its first moment.
if (flags.includes("--cut")) border.cut();
watchForStops();
await runProcess(readProcessConfig(path));

// The supervisor's "cut" and "join" are carried out by svrkit's lifecycle, whose listener is older
// than this one: what is confirmed here is done.
process.on("message", (message) => {
  if (message === "cut" || message === "join") process.send?.({ done: message });
});
