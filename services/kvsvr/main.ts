/** Starts a replica of the KV group in this process. */
import type { ServiceContext } from "../svrkit/context.ts";
import { reportReadiness } from "../svrkit/monitors/readiness.ts";
import { configSchema } from "./config.ts";
import { openReplica } from "./open.ts";
import { systemFiles } from "./storage/files.ts";

/** Exit code of a replica that stops because a promise of the store is at risk. */
const EXIT_PROMISE_AT_RISK = 70;
/** Exit code of a replica that starts again as a new member of its group. */
const EXIT_ADMITTED = 71;

export async function start(context: ServiceContext): Promise<void> {
  const { service, campus, campuses, dataDir, log, server } = context;
  const opened = await openReplica({
    dir: dataDir,
    number: campuses.indexOf(campus),
    campus,
    config: configSchema.parse(context.options ?? {}),
    callee: context.callee(service),
    groups: context,
    server,
    log,
    files: systemFiles,
    fatal: (error) => {
      log.fatal({ err: error }, "a promise of the store is at risk: the replica stops");
      process.exit(EXIT_PROMISE_AT_RISK);
    },
    restart: () => process.exit(EXIT_ADMITTED),
  });
  reportReadiness(service, () =>
    opened.replica === undefined ? "it does not vote" : opened.replica.unreadiness,
  );
  context.lifecycle.onStop("kvsvr", () => opened.stop());
}
