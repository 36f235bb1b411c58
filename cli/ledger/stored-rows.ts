/** What a device's file says for the ledger. */
import type { DeviceLine } from "../../sdk/device-lines.ts";
import type { StoredRow } from "./ledger.ts";

/**
 * The messages of a store in the order in which they came. What the group tells of itself (made,
 * joined) is no message; what the store refused as a double is a row that came.
 */
export function* rowsOf(lines: readonly DeviceLine[]): Generator<StoredRow> {
  const byMessageId = new Map<string, StoredRow>();
  for (const line of lines) {
    if (line.kind === "message" && line.message.notice === undefined) {
      byMessageId.set(line.message.messageId, line.message);
      yield line.message;
    } else if (line.kind === "double") {
      const { conversationId, sequence, messageId } = line;
      const first = byMessageId.get(messageId);
      yield first ?? { conversationId, sequence, clientMessageId: messageId, text: "" };
    }
  }
}
