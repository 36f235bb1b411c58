/** Wires the service "retention". It serves nothing: it passes over all tables now and then. */
import { setTimeout as restUnless } from "node:timers/promises";
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { groupService } from "../../kvsvr/client.ts";
import { listTables } from "../../kvsvr/tables-client.ts";
import type { ServiceContext, StartService } from "../../svrkit/context.ts";
import { FIRST_GROUP } from "../../svrkit/failover/shards.ts";
import { retentionOptions } from "./config.ts";
import { isOwn, passOver } from "./pass.ts";

const DAY_MS = 24 * 3_600_000;

export const start: StartService = async (context) => {
  const options = retentionOptions.parse(context.options ?? {});
  const { forget, passEveryMs, restMs } = options;
  const stop = new AbortController();
  const parts = {
    accounts: context.callee("account-data"),
    inboxes: context.callee("inbox-data"),
    messages: context.callee("message-data"),
    groups: context.callee("group-data"),
    media: context.callee("media-data"),
    moments: context.callee("moments-data"),
    rules: {
      forget,
      keepMs: options.keepDays * DAY_MS,
      silentMs: options.silentDays * DAY_MS,
      idsMs: options.idsDays * DAY_MS,
      mediaMs: options.mediaDays * DAY_MS,
      timelineMs: options.timelineDays * DAY_MS,
    },
    restMs,
    stopped: stop.signal,
    now: Date.now,
  };
  const run = async () => {
    while (!stop.signal.aborted) {
      // Campuses that were started together do not pass together.
      const { signal } = stop;
      await restUnless(passEveryMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {});
      await passOver(ownTables(context), parts).catch((error: unknown) => {
        context.log.warn({ err: error }, "a pass ended early; the next one begins anew");
      });
    }
  };
  const running = run();
  context.lifecycle.onStop("retention", async () => {
    stop.abort();
    await running;
  });
};

/** Tables of all KV groups that this campus looks after, as its own replicas know them. */
async function* ownTables(context: ServiceContext): AsyncGenerator<Key> {
  const { campus, campuses, shards } = context;
  const own = campuses.indexOf(campus);
  for (const group of new Set([FIRST_GROUP, ...shards.all.map((shard) => shard.group)])) {
    for await (const key of listTables(context.callee(groupService(group)), own)) {
      if (isOwn(key, own, campuses.length)) yield key;
    }
  }
}
