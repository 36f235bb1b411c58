/** Our codecs and protobuf-es, made from the same files, must be the same on the wire. */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, test } from "vitest";
import { makeContent, makeLocation } from "../../protos/gen/tricampus/client/v1/content_codec.ts";
import {
  decodeInboxMessage,
  encodeInboxMessage,
} from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import { InboxMessageSchema } from "../../protos/gen/tricampus/client/v1/sync_pb.ts";
import {
  decodeChangeRequest,
  encodeChangeRequest,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { ChangeRequestSchema } from "../../protos/gen/tricampus/kv/v1/kv_pb.ts";
import {
  type Decision,
  decodeDecision,
  encodeDecision,
} from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { DecisionSchema } from "../../protos/gen/tricampus/kv/v1/replica_pb.ts";
import { CodecError, fromBytes, Reader, toBytes } from "./codec.ts";

const bytes = fc.uint8Array({ maxLength: 300 }).map((b) => Buffer.from(b));
const number = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const decisions = fc.record({
  version: number,
  owner: fc.record({ replica: fc.nat({ max: 2 }), incarnation: fc.nat() }),
  body: fc.record({
    case: fc.constant("key" as const),
    value: fc.record({
      deleted: fc.boolean(),
      value: bytes,
      operations: fc.option(fc.record({ kept: bytes, forgottenMs: number }), { nil: undefined }),
    }),
  }),
  digest: number,
});

test("codec: what we encode protobuf-es reads and writes back identically", () => {
  fc.assert(
    fc.property(decisions, (request: Decision) => {
      const ours = toBytes(encodeDecision, request);
      const theirs = toBinary(DecisionSchema, fromBinary(DecisionSchema, ours));
      expect(Buffer.from(theirs).equals(ours)).toBe(true);
      expect(toBytes(encodeDecision, fromBytes(decodeDecision, theirs)).equals(ours)).toBe(true);
    }),
  );
});

test("codec: strings, repeated and nested messages of any length survive the round trip", () => {
  const messages = fc.record({
    messageId: fc.string(),
    conversationId: fc.string({ unit: "binary", maxLength: 60 }),
    sequence: number,
    senderId: fc.string(),
    clientMessageId: fc.string(),
    text: fc.string({ unit: "grapheme", maxLength: 4_000 }),
    acceptedAtMs: number,
    notice: fc.option(
      fc.record({ kind: fc.nat({ max: 3 }), userId: fc.string(), untilMs: number }),
      {
        nil: undefined,
      },
    ),
    content: fc.option(
      fc.record({ latitudeE7: fc.integer(), title: fc.string() }).map((place) =>
        makeContent({
          body: { case: "location", value: makeLocation(place) },
          mentions: [place.title],
        }),
      ),
      { nil: undefined },
    ),
    recalled: fc.boolean(),
    apartBytes: fc.nat(),
    committedAtMs: fc.nat(),
  });
  fc.assert(
    fc.property(messages, (message) => {
      const ours = toBytes(encodeInboxMessage, message);
      const theirs = toBinary(InboxMessageSchema, fromBinary(InboxMessageSchema, ours));
      expect(Buffer.from(theirs).equals(ours)).toBe(true);
      expect(fromBytes(decodeInboxMessage, ours)).toEqual(message);
    }),
    { numRuns: 60 },
  );
});

test("codec: arbitrary bytes are a message or a CodecError, never anything else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (noise) => {
      for (const decode of [decodeDecision, decodeChangeRequest, decodeInboxMessage]) {
        try {
          fromBytes<unknown>(decode, noise);
        } catch (error) {
          expect(error).toBeInstanceOf(CodecError);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

test("codec: a cut message is refused at every length", () => {
  const change = {
    key: { keyspace: 1, key: Buffer.from("table") },
    change: {
      guards: [],
      operations: [{ operation: { case: "delete" as const, value: Buffer.alloc(200, 1) } }],
    },
  };
  const whole = toBytes(encodeChangeRequest, change);
  expect(
    Buffer.from(toBinary(ChangeRequestSchema, fromBinary(ChangeRequestSchema, whole))).equals(
      whole,
    ),
  ).toBe(true);
  for (let length = 1; length < whole.length; length++) {
    const cut = whole.subarray(0, length);
    const decoded = () => toBytes(encodeChangeRequest, fromBytes(decodeChangeRequest, cut));
    try {
      expect(decoded().length).toBeLessThanOrEqual(length); // cut between two fields: a shorter message
    } catch (error) {
      expect(error).toBeInstanceOf(CodecError);
    }
  }
});

test("codec: bad UTF-8 in a string is refused", () => {
  const reader = new Reader(Buffer.from([3, 0xc3, 0x28, 0x41]));
  expect(() => reader.string()).toThrow(CodecError);
});
