/**
 * Encoding and decoding of parts, where the whole would cost too much on the hot path: the rows of a
 * push are encoded once for all its targets, and of a sync's answer only the head is read. Field
 * numbers: protos/tricampus/client/v1/frame.proto, sync.proto and access/v1/push.proto; the tests
 * hold them against the generated codecs.
 */
import { encodePush } from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import type { InboxMessage, SyncReply } from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { NO_BYTES, Reader, skipField, toBytes, Writer } from "../svrkit/codec.ts";

const tag = (field: number, wireType: 0 | 2) => (field << 3) | wireType;

const frameId = tag(1, 0);
const framePush = tag(4, 2);
const pushVersion = tag(1, 0);
const pushSnapshot = tag(3, 2);
const pushFollows = tag(4, 0);
const replySnapshot = tag(2, 2);
const replyMore = tag(3, 0);
const replyVersion = tag(4, 0);

/** The id of a client's frame, as far as it can be read: a broken frame is answered under its id. */
export function requestIdOf(bytes: Uint8Array): number {
  if (bytes.length < 2 || bytes[0] !== frameId) return 0;
  const reader = new Reader(bytes, 1);
  return reader.uint32();
}

/** The rows as they stand in a Push. */
export function encodeRows(messages: InboxMessage[]): Buffer {
  return toBytes(encodePush, { version: 0, messages, snapshot: NO_BYTES, follows: 0 });
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

/** A SyncReply without its messages. */
export function peekSyncReply(bytes: Uint8Array): Omit<SyncReply, "messages"> {
  const reader = new Reader(bytes);
  const reply = { snapshot: NO_BYTES, more: false, version: 0 };
  while (reader.pos < reader.end) {
    const next = reader.uint32();
    if (next === replySnapshot) reply.snapshot = reader.bytes();
    else if (next === replyMore) reply.more = reader.bool();
    else if (next === replyVersion) reply.version = reader.uint64();
    else skipField(reader, next);
  }
  reader.finish(reader.end);
  return reply;
}
