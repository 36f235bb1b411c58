/** One log of a queue group: wiring and start. */
import { monotonicMs } from "../svrkit/call.ts";
import type { StartService } from "../svrkit/context.ts";
import { reportReadiness } from "../svrkit/monitors/readiness.ts";
import { setTrouble } from "../svrkit/monitors/trouble.ts";
import { checkQueueLogConfig } from "./config.ts";
import { serveLog } from "./handlers.ts";
import { Membership } from "./membership.ts";
import { openFolder } from "./open-folder.ts";
import { beginRebuild, Rebuild } from "./rebuild.ts";
import { EmbeddedLog } from "./storage/embedded.ts";

export const start: StartService = async (context) => {
  const config = checkQueueLogConfig(context.options, context.service);
  const { group, segmentBytes, cacheBytes } = config;
  const log = context.log.child({ service: context.service });
  const { dataDir } = context;
  const diskId = await beginRebuild(dataDir);
  const opened = await openFolder({ ...context, log }, config);
  const engine = await EmbeddedLog.open({
    folder: opened.folder,
    lost: opened.lost,
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
  const logs = context.callee(context.service);
  const own = context.campuses.indexOf(context.campus);
  const others = context.campuses.map((_, index) => index).filter((index) => index !== own);
  const membership = await Membership.open(dataDir, {
    ...{ group, campus: context.campus, logs, others, log },
    durable: () => engine.durable,
    onBarred: (reason) => setTrouble(context.service, reason && `does not vote: ${reason}`),
    rebuild:
      diskId === undefined
        ? undefined
        : new Rebuild({
            ...{ dir: dataDir, group, campus: context.campus, diskId },
            ...{ logs, others, engine, log },
          }),
  });
  serveLog(context.server, group, { engine, membership });
  membership.start();
  const unready = () => membership.barred ?? engine.refusal ?? opened.silent();
  reportReadiness(context.service, unready);
  context.lifecycle.onStop(context.service, async () => {
    await membership.stop();
    await engine.close();
    await opened.close();
  });
};
