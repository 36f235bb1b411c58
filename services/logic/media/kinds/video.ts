/**
 * How long a video is and how large its picture, as its container says: MP4 and QuickTime (ISO 14496-12),
 * WebM (EBML). Frames are not decoded, so a container that lies is believed, and nothing is made of it: the
 * poster is an image that the client uploads. Reads only what it needs, of any size, in bounded steps.
 */
import { requireArgument } from "../../../svrkit/errors.ts";

export interface VideoFacts {
  readonly durationMs: number;
  readonly width: number;
  readonly height: number;
}

interface Reads {
  readonly bytes: number;
  /** Fewer at the end. */
  read(offset: number, length: number): Promise<Buffer>;
}

/** Boxes, or elements, looked at: a container with more is none that a camera made. */
const STEPS_MAX = 4_096;
const HEADER_BYTES = 16;
const BOX_BYTES_MAX = 128;

interface Box {
  readonly type: string;
  /** Of what is in it. */
  readonly start: number;
  readonly end: number;
}

const CONTAINERS = new Set(["moov", "trak"]);

export async function readMp4(source: Reads): Promise<VideoFacts> {
  let durationMs = 0;
  let width = 0;
  let height = 0;
  let steps = 0;
  const walk = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; ) {
      steps += 1;
      requireArgument(steps <= STEPS_MAX, "this is no MP4: it has too many boxes");
      const box = await boxAt(source, at, to);
      if (CONTAINERS.has(box.type)) await walk(box.start, box.end);
      const length = Math.min(BOX_BYTES_MAX, box.end - box.start);
      if (box.type === "mvhd") durationMs = durationOf(await source.read(box.start, length));
      if (box.type === "tkhd") {
        const size = sizeOf(await source.read(box.start, length));
        // Sound has no size; of several pictures the largest counts.
        if (size.width * size.height > width * height) ({ width, height } = size);
      }
      at = box.end;
    }
  };
  await walk(0, source.bytes);
  requireArgument(durationMs > 0, "this video does not say how long it is: it is cut, or no MP4");
  return { durationMs, width, height };
}

async function boxAt(source: Reads, at: number, to: number): Promise<Box> {
  const head = await source.read(at, HEADER_BYTES);
  requireArgument(head.length >= 8, "this video ends in the middle of a box");
  const type = head.toString("latin1", 4, 8);
  let size = head.readUInt32BE(0);
  let start = at + 8;
  if (size === 1) {
    requireArgument(head.length >= 16, "this video ends in the middle of a box");
    size = head.readUInt32BE(8) * 2 ** 32 + head.readUInt32BE(12);
    start = at + 16;
  } else if (size === 0) size = to - at;
  const end = at + size;
  requireArgument(end >= start && end <= to, "this video ends in the middle of a box");
  return { type, start, end };
}

/** Of a movie header. */
function durationOf(box: Buffer): number {
  const isLong = box[0] === 1;
  requireArgument(box.length >= (isLong ? 32 : 20), "this video's header is cut");
  const timescale = box.readUInt32BE(isLong ? 20 : 12);
  const units = isLong
    ? box.readUInt32BE(24) * 2 ** 32 + box.readUInt32BE(28)
    : box.readUInt32BE(16);
  requireArgument(timescale > 0, "this video's header counts no time");
  return Math.round((units / timescale) * 1_000);
}

/** Of a track header: 16.16 fixed point, at its end. */
function sizeOf(box: Buffer): { width: number; height: number } {
  const at = box[0] === 1 ? 88 : 76;
  if (box.length < at + 8) return { width: 0, height: 0 };
  return { width: box.readUInt16BE(at), height: box.readUInt16BE(at + 4) };
}

const EBML = {
  header: 0x1a45dfa3,
  segment: 0x18538067,
  info: 0x1549a966,
  timecodeScale: 0x2ad7b1,
  duration: 0x4489,
  tracks: 0x1654ae6b,
  trackEntry: 0xae,
  video: 0xe0,
  pixelWidth: 0xb0,
  pixelHeight: 0xba,
  cluster: 0x1f43b675,
} as const;
const EBML_CONTAINERS: ReadonlySet<number> = new Set([
  EBML.segment,
  EBML.info,
  EBML.tracks,
  EBML.trackEntry,
  EBML.video,
]);
const NANOSECONDS_A_MS = 1_000_000;

export async function readWebm(source: Reads): Promise<VideoFacts> {
  const found = { scale: NANOSECONDS_A_MS, duration: 0, width: 0, height: 0 };
  let steps = 0;
  const walk = async (from: number, to: number): Promise<void> => {
    for (let at = from; at < to; ) {
      steps += 1;
      requireArgument(steps <= STEPS_MAX, "this is no WebM: it has too many elements");
      const element = await elementAt(source, at, to);
      // What a video says of itself stands before its first pictures.
      if (element.id === EBML.cluster) return;
      if (EBML_CONTAINERS.has(element.id)) await walk(element.start, element.end);
      else if (element.end - element.start <= 8) take(element.id, await contentOf(source, element));
      at = element.end;
    }
  };
  const take = (id: number, value: Buffer) => {
    if (id === EBML.timecodeScale) found.scale = unsignedOf(value);
    if (id === EBML.duration) found.duration = floatOf(value);
    if (id === EBML.pixelWidth) found.width = Math.max(found.width, unsignedOf(value));
    if (id === EBML.pixelHeight) found.height = Math.max(found.height, unsignedOf(value));
  };
  await walk(0, source.bytes);
  const durationMs = Math.round((found.duration * found.scale) / NANOSECONDS_A_MS);
  requireArgument(
    durationMs > 0,
    "this video does not say how long it is: some recorders leave it out, make it anew with it",
  );
  return { durationMs, width: found.width, height: found.height };
}

interface Element {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

async function elementAt(source: Reads, at: number, to: number): Promise<Element> {
  const head = await source.read(at, HEADER_BYTES);
  const idBytes = lengthOf(head[0]);
  const sizeBytes = lengthOf(head[idBytes]);
  requireArgument(
    idBytes <= 4 && sizeBytes <= 8 && head.length >= idBytes + sizeBytes,
    "this video ends in the middle of an element",
  );
  const id = head.readUIntBE(0, idBytes);
  const first = head[idBytes]! & (0xff >> sizeBytes);
  let size = first;
  let isUnknown = first === 0xff >> sizeBytes;
  for (let i = 1; i < sizeBytes; i++) {
    const byte = head[idBytes + i]!;
    isUnknown &&= byte === 0xff;
    size = size * 256 + byte;
  }
  const start = at + idBytes + sizeBytes;
  // Of unknown size: to the end of what it is in.
  const end = isUnknown ? to : start + size;
  requireArgument(end <= to, "this video ends in the middle of an element");
  return { id, start, end };
}

/** Of a number that says itself how many bytes it has; 9: none. */
function lengthOf(first: number | undefined): number {
  return first === undefined ? 9 : Math.clz32(first) - 24 + 1;
}

function contentOf(source: Reads, { start, end }: Element): Promise<Buffer> {
  return source.read(start, end - start);
}

function unsignedOf(value: Buffer): number {
  return value.reduce((sum, byte) => sum * 256 + byte, 0);
}

function floatOf(value: Buffer): number {
  if (value.length === 4) return value.readFloatBE(0);
  return value.length === 8 ? value.readDoubleBE(0) : 0;
}
