/**
 * One pass over everything that grows with time: inboxes, 1:1 conversations, groups. Each table is one
 * campus's to look after, so that three workers share the work without speaking to one another; when a
 * campus is away, its share is forgotten later.
 */
import { AccountData } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { GroupData } from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { InboxData } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { MediaData } from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { MessageData } from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import { MomentsData } from "../../../protos/gen/tricampus/data/v1/moments_codec.ts";
import { type Key, Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { mediaOwnerOf } from "../../data/media/client.ts";
import { isTimeline } from "../../data/moments/client.ts";
import { LEAST } from "../../svrkit/admission/priority.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { murmur3 } from "../../svrkit/murmur3.ts";
import { hasBug } from "../../svrkit/planted.ts";
import { rest } from "../../svrkit/rest.ts";
import { confirmedBy, type RetentionRules, timesOf } from "./plan/limits.ts";

/** Before anybody's request waits for it, a pass does without: the next one comes by again. */
const OPTIONS: CallOptions = { timeoutMs: 10_000, priority: LEAST };

const looked = monitorId("retention.tables_looked_at");
const failures = monitorId("retention.failures");

export interface PassParts {
  readonly accounts: Callee;
  readonly inboxes: Callee;
  readonly messages: Callee;
  readonly groups: Callee;
  readonly media: Callee;
  readonly moments: Callee;
  readonly rules: RetentionRules;
  readonly restMs: number;
  readonly stopped: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Whether this campus, the `own`-th of `count`, looks after a table. */
export function isOwn(key: Key, own: number, count: number): boolean {
  return murmur3(key.key) % count === own;
}

export async function passOver(tables: AsyncIterable<Key>, parts: PassParts): Promise<void> {
  for await (const key of tables) {
    if (parts.stopped.aborted) return;
    monitor.add(looked, 1);
    await lookAfter(key, parts).catch(() => {
      monitor.add(failures, 1); // the next pass comes by again
    });
    await rest(parts.restMs);
  }
}

async function lookAfter({ keyspace, key }: Key, parts: PassParts): Promise<void> {
  const name = Buffer.from(key).toString();
  const nowMs = parts.now();
  const times = timesOf(parts.rules, nowMs);
  switch (keyspace) {
    case Keyspace.INBOX: {
      const { deliveredBeforeMs, committedBeforeMs } = times;
      const confirmedVersion = await confirmed(name, parts, nowMs);
      const facts = { deliveredBeforeMs, committedBeforeMs, confirmedVersion };
      await parts.inboxes.call(InboxData.retain, { userId: name, ...facts }, OPTIONS);
      return;
    }
    case Keyspace.ACCOUNT:
      if (name !== "revoked") return;
      await parts.accounts.call(AccountData.retainRevocations, { nowMs }, OPTIONS);
      return;
    case Keyspace.MESSAGE: {
      const request = { conversationId: name, beforeMs: times.conversationBeforeMs };
      await parts.messages.call(MessageData.retain, request, OPTIONS);
      return;
    }
    case Keyspace.GROUP: {
      if (name.includes("/")) return; // how far members have read: one row a member
      const { groupBeforeMs: messagesBeforeMs, outcomesBeforeMs } = times;
      const request = { groupId: name, messagesBeforeMs, outcomesBeforeMs };
      await parts.groups.call(GroupData.retain, request, OPTIONS);
      return;
    }
    case Keyspace.MEDIA: {
      const userId = mediaOwnerOf(name);
      if (userId === undefined) return; // each is in its owner's table
      const { mediaBeforeMs: beforeMs, unfinishedBeforeMs } = times;
      const request = { userId, beforeMs, unfinishedBeforeMs };
      await parts.media.call(MediaData.retain, request, OPTIONS);
      return;
    }
    case Keyspace.MOMENTS: {
      if (!isTimeline(name)) return; // authors delete what is theirs
      const request = { table: name, beforeMs: times.timelineBeforeMs };
      await parts.moments.call(MomentsData.retain, request, OPTIONS);
    }
  }
}

async function confirmed(userId: string, parts: PassParts, nowMs: number): Promise<number> {
  if (parts.rules.forget === "by-age") return 0;
  const { confirmations } = await parts.accounts.call(
    AccountData.confirmations,
    { userId },
    OPTIONS,
  );
  if (hasBug("trim-at-newest"))
    return Math.max(0, ...confirmations.map((device) => device.messagesVersion));
  return confirmedBy(confirmations, parts.rules, nowMs);
}
