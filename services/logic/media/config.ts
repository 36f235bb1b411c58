/** Options of the service media: what may be uploaded. docs/limits.md has the same table. */
import { z } from "zod";

const MIB = 1024 * 1024;

const bytes = (most: number, usual: number) => z.int().min(1).max(most).default(usual);

export const mediaOptions = z.strictObject({
  /** A medium has at most 4,096 chunks of 512 KiB. */
  fileBytesMax: bytes(2_048 * MIB, 100 * MIB),
  imageBytesMax: bytes(100 * MIB, 20 * MIB),
  videoBytesMax: bytes(2_048 * MIB, 100 * MIB),
  /** Width times height times frames: what decoding takes memory and time for. */
  imagePixelsMax: z.int().min(1).max(500_000_000).default(50_000_000),
  videoMsMax: z
    .int()
    .min(1)
    .max(24 * 3_600_000)
    .default(10 * 60_000),
  /** Images are served no larger than this, and thumbnails; pixels of the longer side. */
  imageSideMax: z.int().min(64).max(16_384).default(4_096),
  thumbnailSideMax: z.int().min(16).max(1_024).default(320),
  /** Images that wait for the decoder, which takes one at a time. */
  decodesWaitingMax: z.int().min(1).max(1_000).default(16),
  /** One that takes longer is given up, and its decoder ended. */
  decodeMsMax: z.int().min(100).max(60_000).default(15_000),
});

export type MediaOptions = z.output<typeof mediaOptions>;
