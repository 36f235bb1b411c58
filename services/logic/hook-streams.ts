/**
 * What integrators' servers are told of afterwards, on its way there: streams of the queue, of which each
 * conversation has one. Nobody waits for those servers; who appends waits for the queue alone.
 *
 * When those servers are so far behind that the queue has no room, entries are left out and counted: the
 * messages themselves matter more.
 */
import type { InboxMessage } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { encodeHookEntry, type HookEntry } from "../../protos/gen/tricampus/logic/v1/hook_codec.ts";
import { QueueClient } from "../queue/client.ts";
import type { CallOptions } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";
import { toBytes } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { murmur3 } from "../svrkit/murmur3.ts";
import { withoutLargeBody } from "./fanout/plan/body.ts";

export const HOOKS = ["events", "pushes"] as const;
export type Hook = (typeof HOOKS)[number];

/** Streams of a hook: an order to keep in each, and work for all campuses. */
const STREAMS = 48;
/** A text fits whole; voices and an application's data do not. */
const BODY_BYTES_MAX = 68 * 1024;
const TIMEOUT_MS = 3_000;

const leftOut = monitorId("hooks.left_out");

export class HookStreams {
  readonly #queue: QueueClient;
  readonly #hooks: readonly Hook[];

  /** `hooks`: those that somebody configured. */
  constructor(queue: Callee, hooks: readonly Hook[]) {
    this.#queue = new QueueClient(queue);
    this.#hooks = hooks;
  }

  /**
   * `messages`: numbered, of one conversation, in order. `recipientId`: of a 1:1 message. Resolves when they
   * are durable in two campuses; safe to repeat, but what was told already may then be told twice.
   */
  async append(
    messages: readonly InboxMessage[],
    recipientId: string,
    { trace, deadlineMs }: CallOptions = {},
  ): Promise<void> {
    const options = {
      trace,
      ...(deadlineMs === undefined ? { timeoutMs: TIMEOUT_MS } : { deadlineMs }),
    };
    await Promise.all(
      this.#hooks.map(async (hook) => {
        const entry = hookEntryOf(hook, messages, recipientId);
        const [first] = messages;
        if (entry === undefined || first === undefined) return;
        const { conversationId, sequence } = first;
        const stream = hookStream(hook, conversationId);
        const id = Buffer.from(`${conversationId}#${sequence}-${messages.at(-1)!.sequence}`);
        const payload = toBytes(encodeHookEntry, { ...entry, queuedAtMs: Date.now() });
        await this.#queue.append({ stream, id, payload }, options).catch(leaveOutIfFull);
      }),
    );
  }
}

function hookStream(hook: Hook, conversationId: string): string {
  return `${hook}/${murmur3(Buffer.from(conversationId)) % STREAMS}`;
}

/** What a device that is not connected rings for: not history, which is imported with a time of its own. */
export function rings({ notice, content, committedAtMs }: InboxMessage): boolean {
  return notice === undefined && content?.body?.case !== "recall" && committedAtMs === 0;
}

/**
 * What a hook has to know of messages; undefined: nothing. Nobody is rung for a recall, but what it takes back
 * may lie among the dead letters.
 */
export function hookEntryOf(
  hook: Hook,
  messages: readonly InboxMessage[],
  recipientId: string,
): Omit<HookEntry, "queuedAtMs"> | undefined {
  const told = hook === "events" ? messages : messages.filter(rings);
  const recalled = hook === "events" ? [] : takenBackBy(messages);
  if (told.length + recalled.length === 0) return undefined;
  return {
    messages: told.map((message) => withoutLargeBody(message, BODY_BYTES_MAX)),
    // Who does not know `recalled` looks up members before it rings for none: never those of no group.
    recipientId: told.length === 0 ? recipientId || messages[0]!.senderId : recipientId,
    recalled,
  };
}

/** "<conversation id>#<sequence>" */
export function takenBackBy(messages: readonly InboxMessage[]): string[] {
  return messages.flatMap(({ conversationId, notice, content }) => {
    const body = content?.body;
    const isRecall = notice === undefined && body?.case === "recall";
    return isRecall ? [`${conversationId}#${body.value.sequence}`] : [];
  });
}

function leaveOutIfFull(error: unknown): void {
  if (RpcError.from(error).code !== "RESOURCE_EXHAUSTED") throw error;
  monitor.add(leftOut, 1);
}
