/** The quorum queue: wiring and start. */
import { KvClient } from "../kvsvr/client.ts";
import type { StartService } from "../svrkit/context.ts";
import { raiseIncarnation } from "../svrkit/ids.ts";
import { Adoption } from "./adoption.ts";
import { checkQueueConfig } from "./config.ts";
import { DeadLetters } from "./dead-letters-client.ts";
import { QueueHandlers } from "./handlers.ts";
import { LogGroup } from "./log-group.ts";
import { KvSegmentStore } from "./segment-store.ts";
import { Streams } from "./streams.ts";

const DAY_MS = 24 * 3_600_000;
const TIDY_TIMEOUT_MS = 10_000;

export const start: StartService = async (context) => {
  const config = checkQueueConfig(context.options);
  const log = context.log.child({ service: context.service });
  const groups = new Map(
    config.logServices.map((service, i) => [i + 1, new LogGroup(i + 1, context.callee(service))]),
  );
  let openings = 0;
  const kv = KvClient.of(context);
  const streams = new Streams({
    groups,
    store: new KvSegmentStore(kv),
    process: `${context.campus}.${raiseIncarnation(context.dataDir)}`,
    nextOpening: () => {
      openings += 1;
      return openings;
    },
  });
  const queues = context.callee("queue");
  const own = context.campuses.indexOf(context.campus);
  const deadLetters = new DeadLetters(kv, {
    keepMs: config.deadLettersKeepDays * DAY_MS,
    bytesMax: config.deadLettersBytesMax,
    now: Date.now,
  });
  new QueueHandlers({ streams, queues, own, deadLetters, log }).register(context.server);
  const adoption = new Adoption({ groups, queues, own, log });
  adoption.start();
  const tidying = setInterval(() => {
    deadLetters.tidy({ timeoutMs: TIDY_TIMEOUT_MS }).catch((error: unknown) => {
      log.debug({ err: error }, "dead letters were not looked through");
    });
  }, config.deadLettersTidyMs);
  tidying.unref();
  context.lifecycle.onStop(context.service, () => {
    clearInterval(tidying);
    adoption.stop();
    streams.stop();
  });
};
