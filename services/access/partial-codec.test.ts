import { expect, test } from "vitest";
import {
  decodeServerFrame,
  encodeClientFrame,
  makePush,
} from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import {
  encodeSyncReply,
  makeInboxMessage,
  makeSyncReply,
} from "../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  encodeSendManyRequest,
  makeSendRequest,
} from "../../protos/gen/tricampus/client/v1/text_codec.ts";
import { CodecError, fromBytes, toBytes } from "../svrkit/codec.ts";
import {
  countSends,
  encodePushFrame,
  encodeRows,
  peekSnapshot,
  requestIdOf,
} from "./partial-codec.ts";

const message = makeInboxMessage({
  messageId: "m1",
  conversationId: "g1",
  sequence: 300,
  senderId: "u1",
  clientMessageId: "c1",
  text: "grüße ".repeat(40),
  acceptedAtMs: 1_700_000_000_000,
});
const setting = { conversationId: "g1", setting: { case: "readSequence", value: 7 } } as const;

test("access: a push frame around encoded rows is what the generated codec reads", () => {
  const snapshot = Buffer.from([1, 2, 3]);
  const rows = encodeRows([message, { ...message, sequence: 301 }], [setting]);
  const frame = fromBytes(
    decodeServerFrame,
    encodePushFrame({ version: 1000, follows: 999, rows, snapshot }),
  );
  const messages = [message, { ...message, sequence: 301 }];
  expect(frame).toEqual({
    id: 0,
    kind: {
      case: "push",
      value: makePush({ version: 1000, follows: 999, messages, snapshot, settings: [setting] }),
    },
  });
});

test("access: the snapshot of a sync's answer is read without its messages", () => {
  const snapshot = Buffer.from([9, 8]);
  const rows = { messages: [message, message], settings: [setting] };
  const reply = makeSyncReply({ ...rows, snapshot, more: true, version: 70_000 });
  expect(peekSnapshot(toBytes(encodeSyncReply, reply))).toEqual(snapshot);
});

test("access: the id of a frame is found before the frame is known to be good", () => {
  const ping = { case: "ping", value: {} } as const;
  expect(
    requestIdOf(toBytes(encodeClientFrame, { takesParts: false, id: 70_000, kind: ping })),
  ).toBe(70_000);
  expect(requestIdOf(Buffer.from([8, 5, 0xff, 0xff]))).toBe(5);
  expect(requestIdOf(Buffer.from([0xff]))).toBe(0);
});

test("access: sends in one request are counted, not read", () => {
  const sends = Array.from({ length: 50 }, (_, i) => makeSendRequest({ text: "x".repeat(i * 9) }));
  const bytes = toBytes(encodeSendManyRequest, { sends });
  expect(countSends(bytes)).toBe(50);
  expect(countSends(Buffer.alloc(0))).toBe(0);
  expect(() => countSends(bytes.subarray(0, -1))).toThrow(CodecError);
});
