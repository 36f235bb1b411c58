/** Files of this machine as uploads: --file, --image, --video and --poster. */
import { open, stat } from "node:fs/promises";
import { basename, extname } from "node:path";
import type { MediaMessage } from "../sdk/media.ts";
import { type CommandCall, textOption } from "./command.ts";
import { EXIT, Failure } from "./failure.ts";

export const MEDIA_OPTIONS = [
  ["--file <path>", "any file"],
  ["--image <path>", "a JPEG, PNG, GIF or WebP"],
  ["--video <path>", "an MP4, MOV or WebM"],
  ["--poster <path>", "with --video: the image that stands for it"],
] as const;

const MIMES: Readonly<Record<string, string>> = {
  ".jpg": "image/jpeg",
  ".jpeg": "image/jpeg",
  ".png": "image/png",
  ".gif": "image/gif",
  ".webp": "image/webp",
  ".mp4": "video/mp4",
  ".m4v": "video/mp4",
  ".mov": "video/quicktime",
  ".webm": "video/webm",
  ".pdf": "application/pdf",
  ".txt": "text/plain",
  ".zip": "application/zip",
};
const UNKNOWN_MIME = "application/octet-stream";
const KINDS = ["file", "image", "video"] as const;

interface Medium {
  readonly kind: (typeof KINDS)[number];
  readonly path: string;
  readonly poster: string | undefined;
}

/** Undefined: the command names none. */
export function mediumOf(call: CommandCall): Medium | undefined {
  const given = KINDS.flatMap((kind) => {
    const path = textOption(call, kind);
    return path === undefined ? [] : [{ kind, path }];
  });
  const poster = textOption(call, "poster");
  if (given.length > 1) throw new Failure(EXIT.usage, "give one of --file, --image and --video");
  const [medium] = given;
  if (poster !== undefined && medium?.kind !== "video")
    throw new Failure(EXIT.usage, "--poster goes with --video");
  return medium && { ...medium, poster };
}

/** The files stay open while `work` reads what it needs of them. */
export async function withFile<T>(
  { kind, path, poster }: Medium,
  work: (upload: MediaMessage) => Promise<T>,
): Promise<T> {
  const source = await fileSource(path);
  const posterSource = poster === undefined ? undefined : await fileSource(poster);
  try {
    return await work({
      ...{ kind, mime: mimeOf(path), source },
      ...(kind === "file" && { name: basename(path) }),
      ...(posterSource && { poster: { mime: mimeOf(poster!), source: posterSource } }),
    });
  } finally {
    await Promise.all([source.close(), posterSource?.close()]);
  }
}

function mimeOf(path: string): string {
  return MIMES[extname(path).toLowerCase()] ?? UNKNOWN_MIME;
}

async function fileSource(path: string) {
  const { size, isFile } = await stat(path).then(
    (found) => ({ size: found.size, isFile: found.isFile() }),
    (error: Error) => {
      throw new Failure(EXIT.usage, `${path} cannot be read: ${error.message}`);
    },
  );
  if (!isFile || size === 0)
    throw new Failure(EXIT.usage, `${path} is no file with anything in it`);
  const file = await open(path, "r");
  return {
    bytes: size,
    async read(offset: number, length: number): Promise<Uint8Array> {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, offset);
      return buffer.subarray(0, bytesRead);
    },
    close: () => file.close(),
  };
}
