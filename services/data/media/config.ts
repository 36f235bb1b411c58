/** Options of the service media-data. */
import { z } from "zod";

const MINUTE_MS = 60_000;

const s3 = z.strictObject({
  kind: z.literal("s3"),
  /** "https://s3.eu-central-1.example" */
  endpoint: z
    .url()
    .refine(
      (url) => !URL.canParse(url) || `${new URL(url).username}${new URL(url).password}` === "",
      {
        message: "no user and password in the address: the keys belong into credentialsFile",
      },
    ),
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, "this is no bucket's name"),
  region: z.string().min(1).default("us-east-1"),
  /** A JSON file with accessKeyId and secretAccessKey: secrets are in no configuration. */
  credentialsFile: z.string().min(1),
});

export const s3Credentials = z.strictObject({
  accessKeyId: z.string().min(1),
  secretAccessKey: z.string().min(1),
});

export const mediaDataOptions = z.strictObject({
  /** "files": a folder in each campus, copied to all three. "s3": a bucket that all campuses share. */
  engine: z
    .discriminatedUnion("kind", [z.strictObject({ kind: z.literal("files") }), s3])
    .default({ kind: "files" }),
  /** What one user may have at a time. */
  userBytesMax: z
    .int()
    .min(1)
    .default(10 * 1024 ** 3),
  userCountMax: z.int().min(1).max(1_000_000).default(20_000),
  /** A URL is good for so long. */
  urlMs: z
    .int()
    .min(1_000)
    .max(7 * 24 * 60 * MINUTE_MS)
    .default(60 * MINUTE_MS),
  /** How often parts are compared with what should be there. */
  sweepEveryMs: z
    .int()
    .min(100)
    .default(60 * MINUTE_MS),
  /** Rest after each medium that was looked at. */
  sweepRestMs: z.int().min(0).max(1_000).default(5),
});

export type MediaDataOptions = z.output<typeof mediaDataOptions>;
