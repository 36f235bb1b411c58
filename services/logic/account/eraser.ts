/**
 * Erasing users whose accounts were deleted: leaving their groups, taking them out of others' contacts,
 * emptying their conversations and their own tables, and what the queue's consumers gave up of theirs. Every
 * step is safe to repeat; one campus does it, and another one when that takes too long.
 *
 * First it is marked as gone and no campus remembers otherwise, so that nobody brings it in again. It leaves
 * its groups through their streams, and its own tables are emptied a while later: what fan-out still had for
 * it is gone with them.
 */
import {
  AccountData,
  type AccountRecord,
  type ErasingUser,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { ContactData } from "../../../protos/gen/tricampus/data/v1/contact_codec.ts";
import {
  GroupData,
  GroupEntryKind,
  makeGroupEntry,
} from "../../../protos/gen/tricampus/data/v1/group_codec.ts";
import { InboxData, type TracesReply } from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import { MediaData } from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { MessageData } from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import { MomentsData } from "../../../protos/gen/tricampus/data/v1/moments_codec.ts";
import { Reaching } from "../../../protos/gen/tricampus/logic/v1/reach_codec.ts";
import type { QueueLetters } from "../../queue/client.ts";
import type { Callee } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import type { Logger } from "../../svrkit/log.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { murmur3 } from "../../svrkit/murmur3.ts";
import { rest } from "../../svrkit/rest.ts";
import { contentOf } from "../dead-letter-client.ts";
import type { GroupStreams } from "../group-streams.ts";

const TIMEOUT_MS = 10_000;
const STOP_MS = 500;
/** Another campus takes over what is not done after so many pauses. */
const PAUSES_UNTIL_OTHERS = 5;

const erased = monitorId("account.users_erased");

export interface EraserParts {
  readonly accounts: Callee;
  readonly contacts: Callee;
  readonly inboxes: Callee;
  readonly messages: Callee;
  readonly groups: Callee;
  readonly media: Callee;
  readonly moments: Callee;
  /** The service contact. */
  readonly reaching: Callee;
  readonly streams: Pick<GroupStreams, "append">;
  readonly letters: Pick<QueueLetters, "all" | "forget">;
  readonly log: Logger;
  /** This campus is the `own`-th of so many. */
  readonly own: number;
  readonly campuses: number;
  readonly everyMs: number;
  /** From leaving the groups to emptying the tables. */
  readonly pauseMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

const OPTIONS = { timeoutMs: TIMEOUT_MS };

export class Eraser {
  readonly #parts: EraserParts;
  readonly #timer: NodeJS.Timeout;
  #round: Promise<void> | undefined;

  constructor(parts: EraserParts) {
    this.#parts = parts;
    this.#timer = setInterval(() => this.#start(), parts.everyMs * (0.5 + Math.random()));
    this.#timer.unref();
  }

  /** What is under way is waited for a moment: it can be done again. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.race([this.#round, rest(STOP_MS)]);
  }

  #start(): void {
    this.#round ??= this.#work()
      .catch((error: unknown) => {
        this.#parts.log.debug({ err: error }, "who is to be erased could not be read");
      })
      .finally(() => {
        this.#round = undefined;
      });
  }

  async #work(): Promise<void> {
    const { users } = await this.#parts.accounts.call(AccountData.erasing, {}, OPTIONS);
    for (const user of users.filter((one) => this.#isOwn(one))) {
      await this.#erase(user).catch((error: unknown) => {
        const { userId } = user.record!;
        this.#parts.log.warn({ err: error, userId }, "a user could not be erased yet");
      });
    }
  }

  #isOwn({ record, sinceMs }: ErasingUser): boolean {
    const { own, campuses, pauseMs, now } = this.#parts;
    if (record === undefined) return false;
    if (now() - sinceMs > PAUSES_UNTIL_OTHERS * pauseMs) return true;
    return murmur3(Buffer.from(record.userId)) % campuses === own;
  }

  async #erase({ record, sinceMs }: ErasingUser): Promise<void> {
    const { userId } = record!;
    const { accounts, contacts, reaching, now, pauseMs } = this.#parts;
    await accounts.call(AccountData.markGone, { userId }, OPTIONS);
    const told = reaching.peers.map((_, index) =>
      reaching.callOne(index, Reaching.forget, { userId, otherId: "" }, OPTIONS),
    );
    await Promise.allSettled(told);
    const roundMs = now();
    await this.#eachTrace(userId, ({ groupIds }) => this.#leave(userId, groupIds, roundMs));
    await contacts.call(ContactData.erase, { userId }, OPTIONS);
    if (now() - sinceMs < pauseMs) return;
    await this.#empty(record!);
    monitor.add(erased, 1);
  }

  async #empty(record: AccountRecord): Promise<void> {
    const { accounts, inboxes, messages, groups, media, moments } = this.#parts;
    const { userId } = record;
    await this.#eachTrace(userId, async ({ conversationIds, groupIds }) => {
      for (const conversationId of conversationIds) {
        await messages.call(MessageData.erase, { conversationId }, OPTIONS);
      }
      for (const groupId of groupIds)
        await groups.call(GroupData.erase, { groupId, userId }, OPTIONS);
    });
    await this.#forgetLetters(userId);
    await media.call(MediaData.erase, { userId }, OPTIONS);
    await moments.call(MomentsData.erase, { userId }, OPTIONS);
    await inboxes.call(InboxData.erase, { userId }, OPTIONS);
    await accounts.call(AccountData.erase, { record }, OPTIONS);
  }

  /** What the user wrote, or was written, and could not be told: hooks bury nothing of it any more. */
  async #forgetLetters(userId: string): Promise<void> {
    const { letters } = this.#parts;
    const found = [];
    for await (const letter of letters.all({}, OPTIONS)) {
      const content = contentOf(letter);
      const names = content?.userIds.has(userId) ?? Buffer.from(letter.payload).includes(userId);
      if (names) found.push(letter);
    }
    await letters.forget(found, OPTIONS);
  }

  /** Each round under an id of its own: who was brought in again after one round leaves in the next. */
  async #leave(userId: string, groupIds: readonly string[], roundMs: number): Promise<void> {
    for (const groupId of groupIds) {
      const id = `${userId}:erased:${roundMs}`;
      const facts = { kind: GroupEntryKind.LEAVE, id, userId, acceptedAtMs: roundMs };
      await this.#parts.streams.append(groupId, makeGroupEntry(facts), OPTIONS);
    }
  }

  async #eachTrace(userId: string, each: (traces: TracesReply) => Promise<void>): Promise<void> {
    for (let cursor: Uint8Array = NO_BYTES; ; ) {
      const traces = await this.#parts.inboxes.call(InboxData.traces, { userId, cursor }, OPTIONS);
      await each(traces);
      if (traces.cursor.length === 0) return;
      cursor = Buffer.from(traces.cursor);
    }
  }
}
