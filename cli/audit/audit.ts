/**
 * Audits users of a running platform: reads inboxes and conversations in the store, and asks the ledger.
 * What is missing is looked for again: on a busy platform it may have been on its way.
 */
import type {
  AuditClient,
  AuditedConversation,
  AuditedInbox,
} from "../../services/data/audit-client.ts";
import { usersOf } from "../../services/data/message/client.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { countWrong, type Ledger, type LedgerCounts } from "../ledger/ledger.ts";
import { auditUser } from "./user-ledger.ts";

/** Longer than a message is on its way when nothing is wrong. */
const SETTLED_AFTER_MS = 10_000;
const LOOKS_MAX = 4;
const LOOK_AGAIN_MS = 5_000;

export interface AuditedUserReport {
  readonly userId: string;
  readonly conversations: number;
  readonly counts: LedgerCounts;
  readonly examples: readonly string[];
}

export async function audit(
  client: AuditClient,
  userId: string,
  lookAgainMs = LOOK_AGAIN_MS,
): Promise<AuditedUserReport> {
  for (let look = 1; ; look++) {
    const { ledger, conversations } = await lookAt(client, userId);
    if (countWrong(ledger.counts) === 0 || look === LOOKS_MAX)
      return { userId, conversations, counts: ledger.counts, examples: ledger.examples };
    await rest(lookAgainMs);
  }
}

async function lookAt(
  client: AuditClient,
  userId: string,
): Promise<{ ledger: Ledger; conversations: number }> {
  const settledBeforeMs = Date.now() - SETTLED_AFTER_MS;
  const inbox = await client.inbox(userId);
  const conversations = new Map<string, AuditedConversation>();
  for (const [id, above] of conversationsIn(inbox))
    conversations.set(id, await client.conversation(id, above));
  const refused = new Set<string>();
  for (const { conversationId, messageId } of inbox.committed) {
    const known = conversations.get(conversationId)!.messages;
    if (usersOf(conversationId).length > 0 || known.some((one) => one.messageId === messageId))
      continue;
    if (await client.wasRefused(conversationId, messageId)) refused.add(messageId);
  }
  const ledger = auditUser({ inbox, conversations, refused, settledBeforeMs });
  return { ledger, conversations: conversations.size };
}

/** Conversations that the inbox speaks of, and the number from above which they are the user's. */
function conversationsIn(inbox: AuditedInbox): Map<string, number> {
  const { deliveredThrough, delivered, committed, groups } = inbox;
  const above = new Map<string, number>();
  for (const id of deliveredThrough.keys()) if (usersOf(id).length > 0) above.set(id, 0);
  for (const { conversationId } of [...delivered, ...committed]) above.set(conversationId, 0);
  for (const [groupId, since] of groups) above.set(groupId, since - 1);
  // Who left and came back has rows from before: the whole group is read then.
  for (const { conversationId, sequence } of delivered) {
    const known = above.get(conversationId)!;
    if (sequence <= known) above.set(conversationId, sequence - 1);
  }
  return above;
}
