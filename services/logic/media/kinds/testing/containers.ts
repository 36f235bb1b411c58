/** Containers for tests, with nothing in them but what is looked at. */
export interface VideoSpec {
  readonly durationMs: number;
  readonly width?: number;
  readonly height?: number;
  /** MP4: so many bytes of pictures before the header. */
  readonly front?: number;
  readonly isLong?: boolean;
  /** WebM: recorded, its length unknown. */
  readonly isLive?: boolean;
}

function box(type: string, ...content: Buffer[]): Buffer {
  const inside = Buffer.concat(content);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + inside.length, 0);
  head.write(type, 4, "latin1");
  return Buffer.concat([head, inside]);
}

export function mp4({ durationMs, width = 0, height = 0, front = 0, isLong = false }: VideoSpec) {
  const movie = Buffer.alloc(isLong ? 112 : 100);
  movie[0] = isLong ? 1 : 0;
  movie.writeUInt32BE(1_000, isLong ? 20 : 12);
  if (isLong) movie.writeBigUInt64BE(BigInt(durationMs), 24);
  else movie.writeUInt32BE(durationMs, 16);
  const track = Buffer.alloc(isLong ? 96 : 84);
  track[0] = movie[0]!;
  track.writeUInt16BE(width, isLong ? 88 : 76);
  track.writeUInt16BE(height, isLong ? 92 : 80);
  const sound = Buffer.alloc(84);
  const moov = box(
    "moov",
    box("mvhd", movie),
    box("trak", box("tkhd", sound)),
    box("trak", box("tkhd", track)),
  );
  const ftyp = box("ftyp", Buffer.from("isom"), Buffer.alloc(4));
  return Buffer.concat([ftyp, ...(front > 0 ? [box("mdat", Buffer.alloc(front))] : []), moov]);
}

/** An element with a size of 8 bytes; "live": of unknown size. */
export function ebml(id: number, content: Buffer, size?: "live"): Buffer {
  const name = Buffer.from(id.toString(16).padStart(2, "0"), "hex");
  const length = Buffer.alloc(8, 0xff);
  if (size === undefined) length.writeBigUInt64BE(BigInt(content.length), 0);
  length[0] = size === undefined ? 0x01 : 0x01;
  return Buffer.concat([name, length, content]);
}

const number = (value: number) => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export function webm({ durationMs, width = 0, height = 0, isLive = false }: VideoSpec): Buffer {
  const duration = Buffer.alloc(8);
  duration.writeDoubleBE(durationMs / 2);
  const info = ebml(
    0x1549a966,
    Buffer.concat([ebml(0x2ad7b1, number(2_000_000)), ebml(0x4489, duration)]),
  );
  const video = ebml(0xe0, Buffer.concat([ebml(0xb0, number(width)), ebml(0xba, number(height))]));
  const tracks = ebml(0x1654ae6b, ebml(0xae, video));
  const cluster = ebml(0x1f43b675, Buffer.alloc(1_000), isLive ? "live" : undefined);
  const segment = ebml(
    0x18538067,
    Buffer.concat([info, tracks, cluster]),
    isLive ? "live" : undefined,
  );
  return Buffer.concat([ebml(0x1a45dfa3, Buffer.alloc(4)), segment]);
}

/** A ZIP's directory and its end, behind so much of nothing. */
export function archive(entries: readonly { packed: number; unpacked: number }[]): Buffer {
  const front = Buffer.concat([
    Buffer.from("PK\x03\x04", "latin1"),
    Buffer.alloc(entries.reduce((sum, { packed }) => sum + packed, 0)),
  ]);
  const directory = Buffer.concat(entries.map(entryOf));
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(entries.length === 0 ? 0 : front.length, 16);
  return entries.length === 0 ? end : Buffer.concat([front, directory, end]);
}

function entryOf({ packed, unpacked }: { packed: number; unpacked: number }): Buffer {
  const isLong = unpacked >= 2 ** 32;
  const extra = Buffer.alloc(isLong ? 12 : 0);
  if (isLong) {
    extra.writeUInt16LE(1, 0);
    extra.writeUInt16LE(8, 2);
    extra.writeBigUInt64LE(BigInt(unpacked), 4);
  }
  const entry = Buffer.alloc(46);
  entry.write("PK\x01\x02", "latin1");
  entry.writeUInt32LE(packed, 20);
  entry.writeUInt32LE(isLong ? 0xffffffff : unpacked, 24);
  entry.writeUInt16LE(1, 28);
  entry.writeUInt16LE(extra.length, 30);
  return Buffer.concat([entry, Buffer.from("x"), extra]);
}
