/**
 * An integrator's say before a message is taken: its server is asked with a signed POST, and answers
 * {"allow": true} or {"allow": false, "reason": "..."}, which the sender is told. Once a message, before
 * anything is written, so what is refused leaves no trace; a message that was taken before stays taken.
 *
 * A server that is silent, or answers anything else, costs `timeoutMs` and then what is configured: the
 * message goes on, or its sender is told to try again.
 */
import { codes, RpcError } from "../../svrkit/errors.ts";
import { monitor, monitorId } from "../../svrkit/monitors/monitor.ts";
import { withoutBytes } from "../hooks/plan/event.ts";
import { SIGNATURE_HEADER, signatureOf } from "../signature.ts";
import type { Taken } from "./recalls.ts";

const REASON_CHARACTERS_MAX = 200;
const ANSWER_BYTES_MAX = 4_096;

const refused = monitorId("text.hook_refusals");
const failed = monitorId("text.hook_failures");

export interface BeforeSendOptions {
  readonly url: string;
  /** As it is now. */
  readonly secret: () => string;
  readonly timeoutMs: number;
  /** What becomes of messages about which the server says nothing. */
  readonly onFailure: "allow" | "refuse";
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class BeforeSend {
  readonly #options: BeforeSendOptions;

  constructor(options: BeforeSendOptions) {
    this.#options = options;
  }

  /** Why the message is refused; undefined when it is not. Throws UNAVAILABLE when nobody said. */
  async refusal(message: Taken): Promise<RpcError | undefined> {
    const answer = await this.#ask(message).catch(() => undefined);
    if (answer === undefined) {
      monitor.add(failed, 1);
      if (this.#options.onFailure === "allow") return undefined;
      const why = "who has a say in what is sent cannot be reached: try again";
      throw new RpcError("UNAVAILABLE", why, { retryable: codes.UNAVAILABLE.retryable });
    }
    if (answer.allow) return undefined;
    monitor.add(refused, 1);
    const reason = answer.reason.slice(0, REASON_CHARACTERS_MAX) || "it was not allowed";
    return new RpcError("PERMISSION_DENIED", reason);
  }

  async #ask(message: Taken): Promise<{ allow: boolean; reason: string }> {
    const { url, secret, timeoutMs, now } = this.#options;
    const { clientMessageId, conversationId, senderId, recipientId, text, content } = message;
    const body = JSON.stringify({
      ...{ event: "message.before", clientMessageId, conversationId, senderId, text },
      ...(recipientId === "" ? { groupId: conversationId } : { recipientId }),
      contentKind: content?.body?.case,
      ...(content?.body !== undefined && { content: withoutBytes(content.body.value) }),
      mentions: content?.mentions ?? [],
    });
    const response = await fetch(url, {
      ...{ method: "POST", body, redirect: "error", signal: AbortSignal.timeout(timeoutMs) },
      headers: {
        "content-type": "application/json",
        [SIGNATURE_HEADER]: signatureOf(secret(), now(), body),
      },
    });
    const answered = await readAnswer(response);
    if (!response.ok) throw new Error(`status ${response.status}`);
    const { allow, reason = "" } = JSON.parse(answered) as { allow?: unknown; reason?: unknown };
    if (typeof allow !== "boolean") throw new Error("the answer does not say whether to allow it");
    return { allow, reason: String(reason) };
  }
}

/** No more of it is taken than an answer may have. */
async function readAnswer({ body }: Response): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of body ?? []) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`more than ${ANSWER_BYTES_MAX} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}
