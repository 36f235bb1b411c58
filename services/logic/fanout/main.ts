/** Wires the service "fanout". It serves nothing: it takes its work from the queue. */
import { QueueReader } from "../../queue/client.ts";
import type { StartService } from "../../svrkit/context.ts";
import { Notifier } from "../notify/notifier.ts";
import { fanoutOptions } from "./config.ts";
import { Delivering } from "./delivering.ts";
import { GroupWorker } from "./group-worker.ts";
import { Streams } from "./streams.ts";

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
  const streams = new Streams({
    queue: new QueueReader(context.callee("queue"), campus),
    worker: new GroupWorker({ groups, delivering, log, options }),
    log,
    streamsMax: options.streamsMax,
    stopped: stop.signal,
  });
  const running = streams.run();
  lifecycle.onStop("fanout: streams", async () => {
    stop.abort();
    await running;
  });
};
