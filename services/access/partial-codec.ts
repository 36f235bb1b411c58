/**
 * Encoding and decoding of parts, where the whole would cost too much on the hot path: the rows of a
 * push are encoded once for all its targets, of a sync's answer only the head is read, and sends that
 * come in one request are only counted. Field numbers: protos/tricampus/client/v1/frame.proto,
 * sync.proto, text.proto and access/v1/push.proto; the tests
 * hold them against the generated codecs.
 */
import { encodePush, makePush } from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import type {
  ConversationSetting,
  InboxMessage,
} from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { NO_BYTES, Reader, skipField, toBytes, Writer } from "../svrkit/codec.ts";

const tag = (field: number, wireType: 0 | 2) => (field << 3) | wireType;

const frameId = tag(1, 0);
const framePush = tag(4, 2);
const pushVersion = tag(1, 0);
const pushSnapshot = tag(3, 2);
const pushFollows = tag(4, 0);
const replySnapshot = tag(2, 2);
const manySends = tag(1, 2);

/** The id of a client's frame, as far as it can be read: a broken frame is answered under its id. */
export function requestIdOf(bytes: Uint8Array): number {
  if (bytes.length < 2 || bytes[0] !== frameId) return 0;
  const reader = new Reader(bytes, 1);
  return reader.uint32();
}

/** The rows as they stand in a Push. */
export function encodeRows(messages: InboxMessage[], settings: ConversationSetting[]): Buffer {
  return toBytes(encodePush, makePush({ messages, settings }));
}

const writer = new Writer(64 * 1024);

/** A ServerFrame with a Push around rows that are encoded already. */
export function encodePushFrame(push: {
  version: number;
  follows: number;
  rows: Uint8Array;
  snapshot: Uint8Array;
}): Buffer {
  writer.pos = 0;
  writer.tag(framePush);
  const at = writer.fork();
  writer.tag(pushVersion);
  writer.uint64(push.version);
  writer.raw(push.rows);
  writer.tag(pushSnapshot);
  writer.bytes(push.snapshot);
  writer.tag(pushFollows);
  writer.uint64(push.follows);
  writer.join(at);
  return writer.finish();
}

/** The snapshot of a SyncReply. */
export function peekSnapshot(bytes: Uint8Array): Uint8Array {
  const reader = new Reader(bytes);
  let snapshot = NO_BYTES;
  while (reader.pos < reader.end) {
    const next = reader.uint32();
    if (next === replySnapshot) snapshot = reader.bytes();
    else skipField(reader, next);
  }
  reader.finish(reader.end);
  return snapshot;
}

/** How many sends there are in a SendManyRequest; throws a CodecError when it cannot be read. */
export function countSends(bytes: Uint8Array): number {
  const reader = new Reader(bytes);
  let count = 0;
  while (reader.pos < reader.end) {
    const next = reader.uint32();
    if (next === manySends) count += 1;
    skipField(reader, next);
  }
  reader.finish(reader.end);
  return count;
}
