/** What may be uploaded: sizes, types and names, each refused with the limit. Pure. */
import {
  type BeginUploadRequest,
  MediaKind,
} from "../../../protos/gen/tricampus/client/v1/media_codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";
import { IMAGE_MIMES, VIDEO_MIMES } from "./kinds/sniff.ts";

export interface UploadLimits {
  readonly fileBytesMax: number;
  readonly imageBytesMax: number;
  readonly videoBytesMax: number;
}

const NAME_CHARACTERS_MAX = 255;
const MIME = /^[a-z]{1,30}\/[a-z0-9.+-]{1,100}$/;
/** Names are shown, and become names of files: no folders, nothing invisible. */
const NOT_IN_NAMES = /[/\\\p{C}]/u;

export function checkUpload(request: BeginUploadRequest, limits: UploadLimits): void {
  const { kind, mime, bytes, name } = request;
  requireArgument(MIME.test(mime), "the mime type does not look like one");
  requireArgument(bytes >= 1, "an empty medium cannot be uploaded");
  switch (kind) {
    case MediaKind.FILE:
      requireSize(bytes, limits.fileBytesMax, "a file");
      requireName(name);
      return;
    case MediaKind.IMAGE:
      requireSize(bytes, limits.imageBytesMax, "an image");
      requireOneOf(mime, IMAGE_MIMES, "an image");
      break;
    case MediaKind.VIDEO:
      requireSize(bytes, limits.videoBytesMax, "a video");
      requireOneOf(mime, VIDEO_MIMES, "a video");
      break;
    default:
      throw new RpcError("INVALID_ARGUMENT", "an upload is a file, an image or a video");
  }
  requireArgument(name === "", "only files have names");
}

function requireSize(bytes: number, max: number, what: string): void {
  if (bytes <= max) return;
  throw new RpcError("TOO_LARGE", `${what} has at most ${max} bytes, this one has ${bytes}`);
}

function requireOneOf(mime: string, mimes: readonly string[], what: string): void {
  requireArgument(mimes.includes(mime), `${what} is one of ${mimes.join(", ")}, not ${mime}`);
}

function requireName(name: string): void {
  const characters = [...name.slice(0, 2 * NAME_CHARACTERS_MAX + 1)].length;
  const isGood = characters >= 1 && characters <= NAME_CHARACTERS_MAX;
  requireArgument(isGood, `a file's name has 1 to ${NAME_CHARACTERS_MAX} characters`);
  requireArgument(
    !NOT_IN_NAMES.test(name) && name !== "." && name !== "..",
    "a file's name has no slashes and no control characters",
  );
}

/** Throws unless an upload is what it said it would be. `found`: what it looks like. */
export function requireSameType(
  { kind, mime }: Pick<BeginUploadRequest, "kind" | "mime">,
  found: string | undefined,
): void {
  if (kind === MediaKind.FILE) return;
  // One container with two names: cameras use both.
  const isSame = found === mime || (isIso(found) && isIso(mime));
  requireArgument(isSame, `this is no ${mime}, it is ${found ?? "nothing that is known here"}`);
}

function isIso(mime: string | undefined): boolean {
  return mime === "video/mp4" || mime === "video/quicktime";
}
