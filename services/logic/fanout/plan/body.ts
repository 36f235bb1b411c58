/**
 * How large a message is, and which bodies lie in the group's table alone: a voice of 100 KiB in the
 * inboxes of 500 members would be 50 MB of quorum writes. Devices fetch such bodies (Text/Bodies).
 */
import type { Content } from "../../../../protos/gen/tricampus/client/v1/content_codec.ts";
import type { InboxMessage } from "../../../../protos/gen/tricampus/client/v1/sync_codec.ts";

/** Content besides voice and an application's own data, roughly. */
const CONTENT_BYTES = 512;
const NOTHING = new Uint8Array(0);

interface Body {
  readonly text: string;
  readonly content: Content | undefined;
}

export function bodyBytes({ text, content }: Body): number {
  return Buffer.byteLength(text) + (content === undefined ? 0 : contentBytes(content));
}

function contentBytes({ body, mentions }: Content): number {
  const bytes = CONTENT_BYTES + 24 * mentions.length;
  return body?.case === "voice" || body?.case === "custom" ? bytes + body.value.data.length : bytes;
}

/** The message as it lies in inboxes. */
export function withoutLargeBody(message: InboxMessage, aboveBytes: number): InboxMessage {
  const apartBytes = bodyBytes(message);
  if (apartBytes <= aboveBytes || message.notice !== undefined) return message;
  return { ...message, text: "", content: withoutData(message.content), apartBytes };
}

function withoutData(content: Content | undefined): Content | undefined {
  const body = content?.body;
  if (content === undefined || body === undefined) return content;
  if (body.case === "voice") {
    return { ...content, body: { case: "voice", value: { ...body.value, data: NOTHING } } };
  }
  if (body.case !== "custom") return content;
  return { ...content, body: { case: "custom", value: { ...body.value, data: NOTHING } } };
}
