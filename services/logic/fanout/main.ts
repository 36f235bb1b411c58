/** Wires the service "fanout". It serves nothing: it takes its work from the queue. */
import { decodeGroupEntry } from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { QueueReader } from "../../queue/client.ts";
import { fromBytes } from "../../svrkit/codec.ts";
import type { StartService } from "../../svrkit/context.ts";
import { HookStreams } from "../hook-streams.ts";
import { Notifier } from "../notify/notifier.ts";
import { Streams } from "../streams.ts";
import { fanoutOptions } from "./config.ts";
import { Delivering } from "./delivering.ts";
import { GroupWorker } from "./group-worker.ts";

export const start: StartService = async (context) => {
  const options = fanoutOptions.parse(context.options ?? {});
  const { log, campus, lifecycle } = context;
  const groups = context.callee("group-data");
  const stop = new AbortController();
  const delivering = new Delivering({
    inboxes: context.callee("inbox-data"),
    groups,
    notifier: new Notifier(context),
    log,
    apartAboveBytes: options.apartAboveBytes,
    stopped: stop.signal,
  });
  const queue = context.callee("queue");
  const hooks = new HookStreams(queue, options.hooks);
  const streams = new Streams({
    ...{ topic: "", queue: new QueueReader(queue, campus), log, now: Date.now },
    worker: new GroupWorker({ groups, delivering, hooks, log, options }),
    read: (payload) => fromBytes(decodeGroupEntry, payload),
    traceOf: (entry) => entry.trace,
    streamsMax: options.streamsMax,
    stopped: stop.signal,
  });
  const running = streams.run();
  lifecycle.onStop("fanout: streams", async () => {
    stop.abort();
    await running;
  });
};
