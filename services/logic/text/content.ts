/** What a message may hold besides its text: the limits of docs/limits.md. Pure. */
import {
  type Content,
  encodeContent,
} from "../../../protos/gen/tricampus/client/v1/content_codec.ts";
import { toBytes } from "../../svrkit/codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import {
  requireCharacters,
  requireId,
  requireMediaId,
  requireMediaIdOrNone,
} from "../arguments.ts";

const VOICE_BYTES_MAX = 128 * 1024;
const VOICE_MS_MAX = 60_000;
const VOICE_MIMES = ["audio/ogg", "audio/amr", "audio/mp4", "audio/webm"];
const CUSTOM_BYTES_MAX = 32 * 1024;
const CUSTOM_TYPE_CHARACTERS_MAX = 64;
const MENTIONS_MAX = 50;
const QUOTE_CHARACTERS_MAX = 200;
const MESSAGE_ID_CHARACTERS_MAX = 128;
const FILE_NAME_CHARACTERS_MAX = 255;
const MIME = /^[a-z]+\/[a-z0-9.+-]{1,100}$/;
const PLACE_CHARACTERS_MAX = 256;
const TITLE_CHARACTERS_MAX = 128;
const DEGREES_E7 = 10_000_000;

type Body = NonNullable<Content["body"]>;

/** Throws unless a client may send this; `isGroup`: into a group. */
export function checkContent(content: Content, isGroup: boolean): void {
  const { body, mentions, mentionsAll, reply } = content;
  if (body !== undefined) checkBody(body);
  requireArgument(isGroup || (mentions.length === 0 && !mentionsAll), "mentions are for groups");
  requireArgument(mentions.length <= MENTIONS_MAX, `${MENTIONS_MAX} users can be mentioned`);
  for (const userId of mentions) requireId(userId, "a user id");
  if (reply === undefined) return;
  requireArgument(reply.sequence > 0, "a reply names the number of what it replies to");
  requireCharacters(reply.messageId, "a message id", { min: 1, max: MESSAGE_ID_CHARACTERS_MAX });
  requireId(reply.senderId, "a user id");
  requireCharacters(reply.quote, "a quote", { max: QUOTE_CHARACTERS_MAX });
}

function checkBody(body: Body): void {
  switch (body.case) {
    case "voice":
      checkVoice(body.value);
      return;
    case "file": {
      const { mediaId, mime, name } = body.value;
      checkMedia(mediaId, mime);
      requireCharacters(name, "a file's name", { min: 1, max: FILE_NAME_CHARACTERS_MAX });
      return;
    }
    case "image":
      checkMedia(body.value.mediaId, body.value.mime);
      requireMediaIdOrNone(body.value.thumbnailId, "the thumbnail's media id");
      return;
    case "video":
      checkMedia(body.value.mediaId, body.value.mime);
      requireMediaIdOrNone(body.value.posterId, "the poster's media id");
      return;
    case "location":
      checkLocation(body.value);
      return;
    case "card":
      requireArgument(body.value.of !== undefined, "a card names nobody");
      requireId(body.value.of.value, "a user or group id");
      requireCharacters(body.value.title, "a card's title", { max: TITLE_CHARACTERS_MAX });
      return;
    case "custom":
      checkCustom(body.value);
      return;
    default:
      throw new RpcError("INVALID_ARGUMENT", `a ${body.case} is made by the platform, not sent`);
  }
}

type ValueOf<C extends Body["case"]> = Extract<Body, { case: C }>["value"];

function checkVoice({ data, mime, durationMs }: ValueOf<"voice">): void {
  requireArgument(data.length > 0, "a voice message without a voice cannot be sent");
  requireBytes(data, VOICE_BYTES_MAX, "a voice message");
  requireArgument(VOICE_MIMES.includes(mime), `a voice is one of ${VOICE_MIMES.join(", ")}`);
  requireArgument(
    durationMs >= 1 && durationMs <= VOICE_MS_MAX,
    `a voice message takes 1 to ${VOICE_MS_MAX} ms`,
  );
}

function checkCustom({ type, data }: ValueOf<"custom">): void {
  requireCharacters(type, "a custom type", { min: 1, max: CUSTOM_TYPE_CHARACTERS_MAX });
  requireBytes(data, CUSTOM_BYTES_MAX, "custom data");
}

function checkLocation({ latitudeE7, longitudeE7, title, address }: ValueOf<"location">): void {
  const isOnEarth =
    Math.abs(latitudeE7) <= 90 * DEGREES_E7 && Math.abs(longitudeE7) <= 180 * DEGREES_E7;
  requireArgument(isOnEarth, "a latitude is within 90 degrees, a longitude within 180");
  requireCharacters(title, "a place's title", { max: PLACE_CHARACTERS_MAX });
  requireCharacters(address, "an address", { max: PLACE_CHARACTERS_MAX });
}

function checkMedia(mediaId: string, mime: string): void {
  requireMediaId(mediaId, "the media id");
  requireArgument(MIME.test(mime), "the mime type does not look like one");
}

function requireBytes({ length }: Uint8Array, max: number, what: string): void {
  if (length <= max) return;
  throw new RpcError("TOO_LARGE", `${what} has ${length} bytes, ${max} are the limit`);
}

/** An invitation is known by its id: the group's title may have changed since it was sent. */
export function isSameContent(one: Content | undefined, other: Content | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (one.body?.case === "invite" && other.body?.case === "invite") {
    return one.body.value.inviteId === other.body.value.inviteId;
  }
  return toBytes(encodeContent, one).equals(toBytes(encodeContent, other));
}
