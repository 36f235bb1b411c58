/** One log of a queue group: wiring and start. */
import { monotonicMs } from "../svrkit/call.ts";
import type { StartService } from "../svrkit/context.ts";
import { checkQueueLogConfig } from "./config.ts";
import { serveLog } from "./handlers.ts";
import { EmbeddedLog } from "./storage/embedded.ts";
import { NodeFolder } from "./storage/files.ts";

export const start: StartService = async (context) => {
  const { group, segmentBytes, cacheBytes } = checkQueueLogConfig(context.options, context.service);
  const log = context.log.child({ service: context.service });
  const engine = await EmbeddedLog.open({
    folder: new NodeFolder(context.dataDir),
    segmentBytes,
    cacheBytesMax: cacheBytes,
    nowMs: monotonicMs,
    fatal: (err) => {
      // What the disk holds is unknown now; only a replay of the files can say.
      log.fatal({ err }, "the log's disk failed; the process ends");
      process.exit(1);
    },
  });
  if (engine.refusal !== undefined) log.error({ group }, engine.refusal);
  serveLog(context.server, group, engine);
  context.lifecycle.onStop(context.service, () => engine.close());
};
