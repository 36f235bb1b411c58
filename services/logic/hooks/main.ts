/** Wires the service "hooks". It serves nothing: it takes its work from the queue. */
import {
  decodeHookEntry,
  type HookEntry,
} from "../../../protos/gen/tricampus/logic/v1/hook_codec.ts";
import { QueueReader } from "../../queue/client.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { fromBytes } from "../../svrkit/codec.ts";
import type { ServiceContext, StartService } from "../../svrkit/context.ts";
import { setTrouble } from "../../svrkit/monitors/trouble.ts";
import { readHookSecret } from "../hook-endpoint.ts";
import type { Hook } from "../hook-streams.ts";
import { Streams } from "../streams.ts";
import { Absent } from "./absent.ts";
import { type EndpointOptions, hooksOptions } from "./config.ts";
import { Courier } from "./courier.ts";
import { Endpoint } from "./endpoint.ts";
import { eventOf, kindOf, pushOf } from "./plan/event.ts";
import { HookWorker, type WorkerParts } from "./worker.ts";

export const start: StartService = async (context) => {
  const options = hooksOptions.parse(context.options ?? {});
  const { events, pushes, mutesRememberedMax } = options;
  const stop = new AbortController();
  const running: Promise<void>[] = [];
  const run = (hook: Hook, endpoint: EndpointOptions, itemsOf: WorkerParts["itemsOf"]) => {
    const queue = new QueueReader(context.callee("queue"), context.campus);
    const courier = courierOf(hook, endpoint, stop.signal);
    const streams = new Streams({
      ...{ topic: hook, queue, log: context.log, stopped: stop.signal },
      worker: new HookWorker({ courier, itemsOf, queue, now: Date.now }),
      read: (payload) => fromBytes(decodeHookEntry, payload),
      streamsMax: options.streamsMax,
      now: Date.now,
    });
    running.push(streams.run());
  };
  if (events !== undefined) {
    const { kinds, withText } = events;
    run("events", events, async ({ messages, recipientId }) =>
      messages.map((message) =>
        kinds.includes(kindOf(message)) ? eventOf(message, recipientId, withText) : undefined,
      ),
    );
  }
  if (pushes !== undefined) {
    const absent = absentOf(context, mutesRememberedMax);
    run("pushes", pushes, (entry) => pushesOf(entry, absent, pushes.withText));
  }
  context.lifecycle.onStop("hooks: streams", async () => {
    stop.abort();
    await Promise.all(running);
  });
};

function courierOf(hook: Hook, options: EndpointOptions, stopped: AbortSignal): Courier {
  const { url, secretFile, timeoutMs } = options;
  const secret = readHookSecret(secretFile);
  return new Courier({
    endpoint: new Endpoint({ url, secret, timeoutMs, now: Date.now }),
    ...{ field: hook, limits: options, stopped, random: Math.random },
    onTrouble: (why) =>
      setTrouble(
        `hooks for ${hook}`,
        why && `${new URL(url).origin} takes nothing (${why}): see \`tricampus dead-letters list\``,
      ),
  });
}

function absentOf(context: ServiceContext, mutesRememberedMax: number): Absent {
  return new Absent({
    router: context.callee("router"),
    groups: context.callee("group-data"),
    inboxes: context.callee("inbox-data"),
    mutesRememberedMax,
    now: monotonicMs,
  });
}

async function pushesOf(entry: HookEntry, absent: Absent, withText: boolean) {
  const recipients = await absent.recipientsOf(entry);
  const { recipientId } = entry;
  return entry.messages.map((message, i) => {
    const userIds = recipients[i]!;
    return userIds.length === 0 ? undefined : pushOf(message, userIds, { recipientId, withText });
  });
}
