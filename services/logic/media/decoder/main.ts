/**
 * The decoder: a process of its own that makes images anew, because decoding what strangers sent is how
 * services are taken over or brought down. It may not write files or start processes, knows four formats, and
 * is ended by its service when a picture takes too long.
 *
 * A picture made anew holds its pixels and nothing else: no place where it was taken, no camera, nothing
 * behind its end. It is turned as its camera was held.
 */
import sharp, { type Sharp } from "sharp";
import type { DecodeJob, DecodeResult, Picture } from "./job.ts";

const JPEG = { quality: 85 } as const;
const WEBP = { quality: 82, effort: 2 } as const;
const PNG = { compressionLevel: 6 } as const;

sharp.cache(false);
sharp.concurrency(1);
sharp.block({ operation: ["VipsForeignLoad"] });
sharp.unblock({
  operation: [
    "VipsForeignLoadJpegBuffer",
    "VipsForeignLoadPngBuffer",
    "VipsForeignLoadWebpBuffer",
    "VipsForeignLoadNsgifBuffer",
  ],
});

process.on("message", (job: DecodeJob) => {
  decode(job).then(
    (result) => process.send!(result),
    (error: Error) => {
      const reason = `this picture cannot be read: ${error.message.split("\n")[0]}`;
      process.send!({ state: "refused", reason } satisfies DecodeResult);
    },
  );
});

async function decode(job: DecodeJob): Promise<DecodeResult> {
  const { pixelsMax, sideMax, thumbnailSideMax } = job;
  const input = { limitInputPixels: pixelsMax, failOn: "error" } as const;
  const { width, height, pageHeight, pages = 1, format } = await sharp(job.data, input).metadata();
  const pixels = width * (pageHeight ?? height) * pages;
  if (pixels > pixelsMax) {
    const reason = `this picture has ${pixels} pixels, ${pixelsMax} are the limit`;
    return { state: "refused", reason };
  }
  const animated = pages > 1;
  const inside = (side: number) =>
    ({ width: side, height: side, fit: "inside", withoutEnlargement: true }) as const;
  const whole = sharp(job.data, { ...input, animated })
    .autoOrient()
    .resize(inside(sideMax));
  const body = await pictureOf(
    format === "jpeg" ? whole.jpeg(JPEG) : format === "png" ? whole.png(PNG) : whole.webp(WEBP),
  );
  const small = sharp(job.data, input).autoOrient().resize(inside(thumbnailSideMax)).webp(WEBP);
  return { state: "made", body, thumbnail: await pictureOf(small) };
}

async function pictureOf(image: Sharp): Promise<Picture> {
  const { data, info } = await image.toBuffer({ resolveWithObject: true });
  const height = info.pageHeight ?? info.height;
  return { data, mime: `image/${info.format}`, width: info.width, height };
}
