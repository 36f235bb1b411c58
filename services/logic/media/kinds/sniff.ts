/** What bytes are, by how they begin: what an upload says of itself is not believed. Pure. */

const SIGNATURES: readonly { mime: string; at: number; bytes: readonly number[] }[] = [
  { mime: "image/jpeg", at: 0, bytes: [0xff, 0xd8, 0xff] },
  { mime: "image/png", at: 0, bytes: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a] },
  { mime: "image/gif", at: 0, bytes: [...Buffer.from("GIF8")] },
  { mime: "image/webp", at: 8, bytes: [...Buffer.from("WEBPVP8")] },
  { mime: "video/webm", at: 0, bytes: [0x1a, 0x45, 0xdf, 0xa3] },
  { mime: "application/zip", at: 0, bytes: [0x50, 0x4b, 0x03, 0x04] },
  { mime: "application/zip", at: 0, bytes: [0x50, 0x4b, 0x05, 0x06] },
];

export const IMAGE_MIMES = ["image/jpeg", "image/png", "image/gif", "image/webp"] as const;
export const VIDEO_MIMES = ["video/mp4", "video/quicktime", "video/webm"] as const;

/** Brands of ISO media that hold pictures, and are no videos. */
const STILL_BRANDS = /^(?:avif|avis|heic|heix|hevc|mif1|msf1)$/;

/** As many bytes from the front as are needed. */
export const SNIFF_BYTES = 16;

/** Undefined: none of those that we know. */
export function sniff(head: Uint8Array): string | undefined {
  const known = SIGNATURES.find(({ at, bytes }) => bytes.every((byte, i) => head[at + i] === byte));
  if (known !== undefined) return known.mime;
  const text = Buffer.from(head.subarray(0, SNIFF_BYTES)).toString("latin1");
  if (text.slice(4, 8) !== "ftyp") return undefined;
  const brand = text.slice(8, 12);
  if (STILL_BRANDS.test(brand)) return undefined;
  return brand === "qt  " ? "video/quicktime" : "video/mp4";
}
