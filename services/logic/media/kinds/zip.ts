/**
 * Archives that are small and unpack to something huge. Nothing is unpacked here, so they do no harm here;
 * they would to who opens them. A ZIP's directory says how large everything is unpacked, and its entries how
 * large they are packed: one that grows too much is refused. (Documents of offices and apps are ZIPs, too.)
 */
import { RpcError } from "../../../svrkit/errors.ts";

interface Reads {
  readonly bytes: number;
  read(offset: number, length: number): Promise<Buffer>;
}

/** What unpacks to more than this, and to more than so many times its size, is a bomb. */
const UNPACKED_MAX = 1024 ** 3;
const RATIO_MAX = 100;
/** Of the directory's end: 22 bytes and a comment. */
const END_BYTES_MAX = 22 + 65_535;
const END = 0x06054b50;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const DIRECTORY_BYTES_MAX = 8 * 1024 * 1024;
const UNKNOWN = 0xffffffff;

/** Throws INVALID_ARGUMENT for a bomb; what cannot be read as an archive is let be. */
export async function refuseZipBomb(source: Reads): Promise<void> {
  const tailBytes = Math.min(source.bytes, END_BYTES_MAX);
  const tail = await source.read(source.bytes - tailBytes, tailBytes);
  const at = lastEnd(tail);
  if (at === undefined) return;
  const size = tail.readUInt32LE(at + 12);
  const offset = tail.readUInt32LE(at + 16);
  if (size > DIRECTORY_BYTES_MAX) {
    throw new RpcError("INVALID_ARGUMENT", "this archive holds more files than are looked at");
  }
  if (offset === UNKNOWN || offset + size > source.bytes) return;
  const unpacked = unpackedBytes(await source.read(offset, size));
  if (unpacked <= UNPACKED_MAX || unpacked <= RATIO_MAX * source.bytes) return;
  throw new RpcError(
    "INVALID_ARGUMENT",
    `this archive of ${source.bytes} bytes would unpack to ${unpacked}: at most ` +
      `${UNPACKED_MAX}, or ${RATIO_MAX} times its size, is taken`,
  );
}

function lastEnd(tail: Buffer): number | undefined {
  for (let at = tail.length - 22; at >= 0; at--) if (tail.readUInt32LE(at) === END) return at;
  return undefined;
}

function unpackedBytes(directory: Buffer): number {
  let sum = 0;
  for (let at = 0; at + ENTRY_BYTES <= directory.length; ) {
    if (directory.readUInt32LE(at) !== ENTRY) break;
    const size = directory.readUInt32LE(at + 24);
    const nameBytes = directory.readUInt16LE(at + 28);
    const extraBytes = directory.readUInt16LE(at + 30);
    const extra = directory.subarray(at + ENTRY_BYTES + nameBytes).subarray(0, extraBytes);
    sum += size === UNKNOWN ? longSize(extra) : size;
    at += ENTRY_BYTES + nameBytes + extraBytes + directory.readUInt16LE(at + 32);
  }
  return sum;
}

/** ZIP64: sizes beyond 4 GiB are in a field of their own. */
function longSize(extra: Buffer): number {
  for (let at = 0; at + 4 <= extra.length; ) {
    const bytes = extra.readUInt16LE(at + 2);
    if (extra.readUInt16LE(at) === 1 && bytes >= 8 && at + 12 <= extra.length) {
      return Number(extra.readBigUInt64LE(at + 4));
    }
    at += 4 + bytes;
  }
  return UNKNOWN;
}
