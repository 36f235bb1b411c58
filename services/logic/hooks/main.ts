/** Wires the service "hooks". It serves nothing: it takes its work from the queue. */
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import {
  decodeHookEntry,
  type HookEntry,
} from "../../../protos/gen/tricampus/logic/v1/hook_codec.ts";
import { QueueLetters, QueueReader } from "../../queue/client.ts";
import { monotonicMs } from "../../svrkit/call.ts";
import { fromBytes } from "../../svrkit/codec.ts";
import type { ServiceContext, StartService } from "../../svrkit/context.ts";
import { setTrouble } from "../../svrkit/monitors/trouble.ts";
import { followedHookSecret } from "../hook-endpoint.ts";
import { type Hook, rings } from "../hook-streams.ts";
import { Streams } from "../streams.ts";
import { Absent } from "./absent.ts";
import { type EndpointOptions, hooksOptions } from "./config.ts";
import { Courier } from "./courier.ts";
import { Endpoint } from "./endpoint.ts";
import { eventOf, kindOf, pushOf } from "./plan/event.ts";
import { HookWorker, type WorkerParts } from "./worker.ts";

const GONE_ASKED_MAX = 1_000;
const GONE_TIMEOUT_MS = 5_000;

export const start: StartService = async (context) => {
  const options = hooksOptions.parse(context.options ?? {});
  const { events, pushes, mutesRememberedMax } = options;
  const stop = new AbortController();
  const { signal: stopped } = stop;
  const running: Promise<void>[] = [];
  const letters = new QueueLetters(context.callee("queue"));
  const run = (hook: Hook, endpoint: EndpointOptions, itemsOf: WorkerParts["itemsOf"]) => {
    const queue = new QueueReader(context.callee("queue"), context.campus);
    const courier = courierOf(hook, endpoint, { stopped, queue, context });
    const streams = new Streams({
      ...{ topic: hook, queue, log: context.log, stopped },
      worker: new HookWorker({
        ...{ courier, itemsOf, queue, letters, now: Date.now, log: context.log, stopped },
        gone: (userIds) => goneOf(context, userIds),
      }),
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

async function goneOf(context: ServiceContext, userIds: string[]): Promise<string[]> {
  const accounts = context.callee("account-data");
  const gone: string[] = [];
  for (let first = 0; first < userIds.length; first += GONE_ASKED_MAX) {
    const request = { userIds: userIds.slice(first, first + GONE_ASKED_MAX) };
    const options = { timeoutMs: GONE_TIMEOUT_MS };
    gone.push(...(await accounts.call(AccountData.gone, request, options)).userIds);
  }
  return gone;
}

function courierOf(
  hook: Hook,
  options: EndpointOptions,
  {
    stopped,
    queue,
    context,
  }: { stopped: AbortSignal; queue: QueueReader; context: ServiceContext },
): Courier {
  const { url, secretFile, timeoutMs } = options;
  const secret = followedHookSecret(hook, secretFile, context);
  return new Courier({
    endpoint: new Endpoint({ url, secret, timeoutMs, now: Date.now }),
    ...{ field: hook, limits: options, stopped, random: Math.random, now: Date.now },
    hasRoom: () => !queue.roomIsScarce,
    onTrouble: (why) =>
      setTrouble(
        `hooks for ${hook}`,
        why &&
          `${new URL(url).origin} takes nothing (${why}): ${hook} wait for it, and become dead letters in the end`,
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
  const { recipientId } = entry;
  // What is in the stream for the letters it takes with it (worker.ts) rings for nobody.
  if (!entry.messages.some(rings)) return [];
  const recipients = await absent.recipientsOf(entry);
  return entry.messages.map((message, i) => {
    if (!rings(message)) return undefined;
    const userIds = recipients[i]!;
    return userIds.length === 0 ? undefined : pushOf(message, userIds, { recipientId, withText });
  });
}
