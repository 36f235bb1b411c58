/**
 * What the ledger says of one user of a live system: everything that the user's conversations have
 * numbered is in the inbox, once and in order, and everything that the user sent is numbered. Pure.
 *
 * The inbox was read before the conversations: what has come since is not expected in it.
 */
import {
  type AuditedConversation,
  type AuditedInbox,
  type AuditedMessage,
  placeOf,
} from "../../services/data/audit-client.ts";
import { usersOf } from "../../services/data/message/client.ts";
import { Ledger, type LedgerMessage, type StoredRow } from "../ledger/ledger.ts";

const USER = 0;
const SOMEBODY_ELSE = 1;
const INBOX = "inbox";

export interface AuditedUser {
  readonly inbox: AuditedInbox;
  /** Every conversation that the inbox speaks of, by id. */
  readonly conversations: ReadonlyMap<string, AuditedConversation>;
  /** Message ids of sends to groups that the groups decided not to take. */
  readonly refused: ReadonlySet<string>;
  /** What was accepted later may still be on its way; milliseconds since 1970. */
  readonly settledBeforeMs: number;
}

export function auditUser(user: AuditedUser): Ledger {
  const { inbox, conversations } = user;
  const required = new Set<string>();
  const groups = [...conversations].map(([id, { messages }]) => {
    const isDirect = usersOf(id).length > 0;
    const isExpected = expectationOf(user, id);
    const expected = messages.map((message): LedgerMessage => {
      const { messageId: clientMessageId } = message;
      if (isExpected(message)) required.add(clientMessageId);
      // A notice is never unread, like what the user says.
      const isOwn = message.senderId === inbox.userId || message.isNotice || message.isRecall;
      return { clientMessageId, sender: isOwn ? USER : SOMEBODY_ELSE, text: numberOf(message) };
    });
    for (const one of sentAndNotNumbered(user, id, messages)) {
      required.add(one.clientMessageId);
      expected.push(one);
    }
    return { members: [USER], messages: expected, isDirect };
  });
  const users = [{ name: inbox.userId, devices: [INBOX] }];
  const ledger = new Ledger({ users, groups }, required);
  ledger.checkDevice(USER, INBOX, rowsOf(user));
  ledger.finish();
  return ledger;
}

/** What is compared of a message besides its id: its number. */
function numberOf({ sequence }: AuditedMessage): string {
  return `number ${sequence}`;
}

/** Which of a conversation's messages must lie in the inbox. */
function expectationOf(
  { inbox, settledBeforeMs }: AuditedUser,
  conversationId: string,
): (message: AuditedMessage) => boolean {
  const since = inbox.groups.get(conversationId);
  const isDirect = usersOf(conversationId).length > 0;
  const own = inbox.delivered.filter((one) => one.conversationId === conversationId);
  // Inboxes forget from the front: what lies before the oldest row that is left, or all, may be gone.
  const oldest = Math.min(...own.map(({ sequence }) => sequence));
  const first = inbox.isTrimmed ? oldest : (since ?? 0);
  return (message) => {
    if (message.isRecalled || message.committedAtMs >= settledBeforeMs) return false;
    if (inbox.hidden.has(placeOf(message))) return false;
    // What the user says in a 1:1 lies in the inbox as committed, without its number.
    if (isDirect) return message.senderId !== inbox.userId && message.sequence >= first;
    return since !== undefined && message.sequence >= first;
  };
}

/** Committed, accepted long ago, and still without a number: nobody will ever get it. */
function sentAndNotNumbered(
  { inbox, refused, settledBeforeMs }: AuditedUser,
  conversationId: string,
  messages: readonly AuditedMessage[],
): LedgerMessage[] {
  const numbered = new Set(messages.map(({ messageId }) => messageId));
  const oldestAtMs = Math.min(...messages.map(({ committedAtMs }) => committedAtMs));
  return (
    inbox.committed
      .filter((sent) => sent.conversationId === conversationId)
      .filter(({ messageId }) => !numbered.has(messageId) && !refused.has(messageId))
      .filter(({ committedAtMs }) => committedAtMs < settledBeforeMs)
      // A conversation that has forgotten its oldest messages may have numbered it.
      .filter(({ committedAtMs }) => messages.length === 0 || committedAtMs >= oldestAtMs)
      .map(({ messageId }) => {
        return { clientMessageId: `${messageId}, never numbered`, sender: USER, text: "" };
      })
  );
}

/** Rows of conversations whose beginning is forgotten there cannot be judged as far. */
function* rowsOf({ inbox, conversations }: AuditedUser): Generator<StoredRow> {
  for (const message of inbox.delivered) {
    const { conversationId, sequence, messageId: clientMessageId } = message;
    const first = conversations.get(conversationId)?.messages[0]?.sequence;
    if (first === undefined || sequence < first) continue;
    yield { conversationId, sequence, clientMessageId, text: numberOf(message) };
  }
}
