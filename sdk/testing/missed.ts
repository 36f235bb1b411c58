/** Messages that were delivered to somebody who was away, as fan-out delivers them: many a change. */
import { makeInboxMessage } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { InboxData } from "../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import type { WholePlatform } from "../../services/platform/testing/whole-platform.ts";

const A_CHANGE = 200;
const AT_ONCE = 8;

/** Messages 1 to `count` of a conversation, into inboxes that have none of it. */
export async function deliverMissed(
  { callee }: Pick<WholePlatform, "callee">,
  { conversationId, userIds, count }: { conversationId: string; userIds: string[]; count: number },
): Promise<void> {
  const inboxes = callee("inbox-data", "fanout");
  const left = userIds.values();
  const worker = async () => {
    for (const userId of left) {
      for (let from = 0; from < count; from += A_CHANGE) {
        const through = Math.min(count, from + A_CHANGE);
        const messages = Array.from({ length: through - from }, (_, i) =>
          missed(conversationId, from + i + 1),
        );
        const place = { fromSequence: from, throughSequence: through, allowSkip: false };
        const deliveries = [{ conversationId, messages, targets: [{ userId, ...place }] }];
        const { outcomes } = await inboxes.call(InboxData.deliver, { deliveries });
        if (outcomes[0]?.version === 0) throw new Error(`not delivered: ${outcomes[0].message}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function missed(conversationId: string, sequence: number) {
  const messageId = `07at1-${sequence.toString(36)}`;
  const text = `message ${sequence}, of a length that people write in conversations like this one`;
  const about = { senderId: "07au1-1", clientMessageId: `k${sequence}`, acceptedAtMs: Date.now() };
  return makeInboxMessage({ conversationId, sequence, messageId, text, ...about });
}
