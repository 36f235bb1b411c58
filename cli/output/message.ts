/** A message as a line for people, and as an object for programs. */
import { fromBinary, toJson } from "@bufbuild/protobuf";
import { type Content, encodeContent } from "../../protos/gen/tricampus/client/v1/content_codec.ts";
import { ContentSchema } from "../../protos/gen/tricampus/client/v1/content_pb.ts";
import { NoticeKind } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import type { StoredMessage } from "../../sdk/store.ts";
import { toBytes } from "../../services/svrkit/codec.ts";

const NOTICES: Readonly<Record<number, string>> = {
  [NoticeKind.JOINED]: "joined",
  [NoticeKind.LEFT]: "left",
  [NoticeKind.CREATED]: "made the group",
  [NoticeKind.KICKED]: "was removed",
  [NoticeKind.DISMISSED]: "ended the group",
  [NoticeKind.OWNER]: "owns the group now",
  [NoticeKind.ADMIN]: "is an admin now",
  [NoticeKind.ADMIN_NO_MORE]: "is no admin any more",
  [NoticeKind.MUTED]: "was muted",
  [NoticeKind.UNMUTED]: "may speak again",
  [NoticeKind.ALL_MUTED]: "lets only owner and admins speak",
  [NoticeKind.ALL_UNMUTED]: "lets everybody speak again",
  [NoticeKind.ANNOUNCEMENT]: "announced:",
  [NoticeKind.TITLE]: "gave the group a new title:",
  [NoticeKind.NICKNAME]: "has a new nickname:",
};

export function describeMessage(message: StoredMessage, nameOf: (id: string) => string): string {
  const time = new Date(message.acceptedAtMs).toTimeString().slice(0, 5);
  const place = message.conversationId.startsWith("c:") ? "" : ` in ${message.conversationId}`;
  if (message.notice !== undefined) {
    const what = NOTICES[message.notice.kind] ?? "changed the group";
    const text = message.text === "" ? "" : ` ${printable(message.text)}`;
    return `[${time}] ${nameOf(message.notice.userId)} ${what}${place}${text}`;
  }
  const words = [message.text, ...contentWords(message)].filter((word) => word !== "");
  return `[${time}] <${nameOf(message.senderId)}>${place} ${printable(words.join(" "))}`;
}

/** What a message holds besides its text, for a terminal. */
function contentWords({ content, recalled }: StoredMessage): string[] {
  if (recalled) return ["(taken back)"];
  const body = content?.body;
  switch (body?.case) {
    case "voice":
      return [`(voice, ${Math.round(body.value.durationMs / 1_000)} s)`];
    case "file":
      return [`(file ${body.value.name}, media ${body.value.mediaId})`];
    case "image":
    case "video":
      return [`(${body.case}, media ${body.value.mediaId})`];
    case "location":
      return [`(at ${body.value.latitudeE7 / 1e7}, ${body.value.longitudeE7 / 1e7})`];
    case "card":
      return [`(card of ${body.value.of?.value ?? "nobody"})`];
    case "custom":
      return [`(${body.value.type})`];
    case "recall":
      return [`(took message ${body.value.sequence} back)`];
    case "invite":
      return [
        `(invites you to ${body.value.title}: group accept <you> ${body.value.groupId} ${body.value.inviteId})`,
      ];
    default:
      return [];
  }
}

/** Control bytes of other people's texts do not reach the terminal as commands. */
function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "\ufffd");
}

export function messageJson(message: StoredMessage) {
  const { conversationId, sequence, messageId, senderId, text, acceptedAtMs, notice } = message;
  const { content, recalled } = message;
  const shown = content && toJson(ContentSchema, fromBinary(ContentSchema, bytesOf(content)));
  return {
    ...{ conversationId, sequence, messageId, senderId, text, acceptedAtMs, notice },
    ...{ content: shown, recalled: recalled || undefined },
  };
}

function bytesOf(content: Content): Uint8Array {
  return toBytes(encodeContent, content);
}
