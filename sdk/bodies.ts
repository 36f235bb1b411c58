/** Fetching texts and voices that lie in their group alone, and not in the inbox. */
import type { InboxMessage } from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  type BodiesReply,
  type BodiesRequest,
  Text,
} from "../protos/gen/tricampus/client/v1/text_codec.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import type { Requester } from "./requester.ts";

const AT_ONCE_MAX = 50;
const TIMEOUT_MS = 10_000;

/** The messages with their bodies; one whose body is gone stays without. */
export async function fetchBodies(
  link: Requester,
  messages: readonly InboxMessage[],
): Promise<InboxMessage[]> {
  const apart = Map.groupBy(
    messages.filter((message) => message.apartBytes > 0),
    (message) => message.conversationId,
  );
  const bodies = new Map<string, InboxMessage>();
  for (const [groupId, lacking] of apart) {
    const sequences = lacking.map((message) => message.sequence);
    for (let at = 0; at < sequences.length; ) {
      const asked = sequences.slice(at, at + AT_ONCE_MAX);
      const reply = await ask(link, { groupId, sequences: asked });
      for (const body of reply.messages) bodies.set(keyOf(body), body);
      const last = reply.messages.at(-1)?.sequence ?? asked.at(-1)!;
      at += asked.indexOf(last) + 1;
    }
  }
  if (apart.size === 0) return [...messages];
  return messages.map((message) => {
    const body = bodies.get(keyOf(message));
    if (body === undefined) return message;
    const { text, content, recalled } = body;
    return { ...message, text, content, recalled, apartBytes: 0 };
  });
}

/** Who may read none of them (any more) gets none: that must not keep it from what else is in its inbox. */
async function ask(link: Requester, request: BodiesRequest): Promise<BodiesReply> {
  try {
    return await link.request(Text.bodies, request, { timeoutMs: TIMEOUT_MS });
  } catch (error) {
    const isForGood = ["PERMISSION_DENIED", "NOT_FOUND"].includes(RpcError.from(error).code);
    if (isForGood) return { messages: [] };
    throw error;
  }
}

function keyOf({ conversationId, sequence }: InboxMessage): string {
  return `${sequence} ${conversationId}`;
}
