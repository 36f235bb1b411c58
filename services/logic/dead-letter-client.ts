/** What a dead letter is about: whose it is, which messages are in it, and in words for people; and its retry. Pure. */
import type { InboxMessage } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  decodeGroupEntry,
  GroupEntryKind,
} from "../../protos/gen/tricampus/data/v1/group_codec.ts";
import {
  decodeHookEntry,
  encodeHookEntry,
} from "../../protos/gen/tricampus/logic/v1/hook_codec.ts";
import type { DeadLetter } from "../../protos/gen/tricampus/queue/v1/queue_codec.ts";
import type { QueueAppend } from "../queue/client.ts";
import { fromBytes, toBytes } from "../svrkit/codec.ts";

export interface LetterContent {
  /** For people. */
  readonly about: string;
  /** Who wrote it, to whom, and who is named in it. */
  readonly userIds: ReadonlySet<string>;
  /** "<conversation id>#<sequence>" */
  readonly messages: ReadonlySet<string>;
}

const ENTRY_KINDS = Object.entries(GroupEntryKind);

/** Hooks' streams have a topic, groups' have none. Undefined when it cannot be read. */
export function contentOf({ stream, payload }: DeadLetter): LetterContent | undefined {
  try {
    return stream.includes("/") ? hookContent(payload) : groupContent(payload);
  } catch {
    return undefined;
  }
}

/**
 * To put it into its stream again, under an id of its own: the first one may be remembered as worked off. What
 * waits for a server waits anew, from now on.
 */
export function retryOf(letter: DeadLetter, nowMs: number): QueueAppend {
  const { stream, slot, part, buriedAtMs } = letter;
  const id = Buffer.from(`again ${slot}.${part} ${buriedAtMs}`);
  return { stream, id, payload: stream.includes("/") ? queuedAt(letter, nowMs) : letter.payload };
}

function queuedAt({ payload }: DeadLetter, queuedAtMs: number): Uint8Array {
  try {
    return toBytes(encodeHookEntry, { ...fromBytes(decodeHookEntry, payload), queuedAtMs });
  } catch {
    return payload; // what cannot be read is given up again, with that reason
  }
}

/** Users whom an entry for integrators' servers is about. */
export function usersOfHook(
  messages: readonly Pick<InboxMessage, "senderId" | "notice" | "content">[],
  recipientId: string,
): Set<string> {
  const userIds = messages.flatMap(({ senderId, notice, content }) => [
    ...[senderId, notice?.userId ?? ""],
    ...(content?.mentions ?? []),
  ]);
  return new Set([...userIds, recipientId].filter((userId) => userId !== ""));
}

function hookContent(payload: Uint8Array): LetterContent {
  const { messages, recipientId } = fromBytes(decodeHookEntry, payload);
  const names = messages.map((m) => `${m.conversationId}#${m.sequence}`);
  const userIds = usersOfHook(messages, recipientId);
  return { about: names.join(" "), userIds, messages: new Set(names) };
}

function groupContent(payload: Uint8Array): LetterContent {
  const { kind, id, userId, subjectId, content } = fromBytes(decodeGroupEntry, payload);
  const kindName = ENTRY_KINDS.find(([, number]) => number === kind)?.[0].toLowerCase();
  const userIds = [userId, subjectId, ...(content?.mentions ?? [])].filter((one) => one !== "");
  return { about: `${kindName} ${id}`, userIds: new Set(userIds), messages: new Set() };
}
