/** A message as a line for people, and as an object for programs. */
import type { StoredMessage } from "../../sdk/store.ts";

const NOTICES: Readonly<Record<number, string>> = { 1: "joined", 2: "left", 3: "made the group" };

export function describeMessage(message: StoredMessage, nameOf: (id: string) => string): string {
  const time = new Date(message.acceptedAtMs).toTimeString().slice(0, 5);
  const place = message.conversationId.startsWith("c:") ? "" : ` in ${message.conversationId}`;
  if (message.notice !== undefined) {
    const what = NOTICES[message.notice.kind] ?? "changed the group";
    return `[${time}] ${nameOf(message.notice.userId)} ${what}${place}`;
  }
  return `[${time}] <${nameOf(message.senderId)}>${place} ${printable(message.text)}`;
}

/** Control bytes of other people's texts do not reach the terminal as commands. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd");
}

export function messageJson(message: StoredMessage) {
  const { conversationId, sequence, messageId, senderId, text, acceptedAtMs, notice } = message;
  return { conversationId, sequence, messageId, senderId, text, acceptedAtMs, notice };
}
