/** Lengths, numbers and unknown fields at the edges of the wire format, against protobuf-es. */
import { BinaryReader, BinaryWriter } from "@bufbuild/protobuf/wire";
import { expect, test } from "vitest";
import { CodecError, Reader, skipField, toBytes, Writer } from "./codec.ts";

const LENGTHS = [
  ...[0, 1, 23, 24, 25, 47, 48, 49, 127, 128, 129, 199, 200],
  ...[16_383, 16_384, 16_385, 2_097_151, 2_097_152, 2_097_153],
];

test("codec: strings, bytes and nested parts of every edge length", () => {
  for (const length of LENGTHS) {
    const text = "x".repeat(length);
    const ours = toBytes((w: Writer) => {
      w.string(text);
      w.bytes(Buffer.from(text));
      const at = w.fork();
      w.raw(Buffer.from(text));
      w.join(at);
    }, undefined);
    const theirs = new BinaryReader(ours);
    expect(theirs.string().length).toBe(length);
    for (let part = 0; part < 2; part++) {
      expect(Buffer.from(theirs.bytes()).toString() === text).toBe(true);
    }
    expect(theirs.pos).toBe(ours.length);
    const reader = new Reader(ours);
    expect(reader.string() === text && Buffer.from(reader.bytes()).toString() === text).toBe(true);
  }
});

test("codec: numbers up to 2^53 - 1, both signs; nothing above is written or read", () => {
  const numbers = [0, 1, 127, 128, 2 ** 32 - 1, 2 ** 32, 2 ** 49, Number.MAX_SAFE_INTEGER];
  for (const number of numbers) {
    const ours = toBytes((w: Writer) => w.uint64(number), undefined);
    expect(Number(new BinaryReader(ours).uint64())).toBe(number);
    expect(new Reader(ours).uint64()).toBe(number);
  }
  for (const number of [0, 1, -1, 63, -64, 64, 2 ** 40, -(2 ** 40)]) {
    const ours = toBytes((w: Writer) => w.sint64(number), undefined);
    expect(Number(new BinaryReader(ours).sint64())).toBe(number);
    expect(new Reader(ours).sint64()).toBe(number === 0 ? 0 : number);
  }
  for (const wrong of [-1, 2 ** 53, 1.5, Number.NaN]) {
    expect(() => toBytes((w: Writer) => w.uint64(wrong), undefined)).toThrow(CodecError);
  }
  const large = (value: bigint) => new BinaryWriter().uint64(value).finish();
  expect(() => new Reader(large(2n ** 53n)).uint64()).toThrow(CodecError);
  expect(() => new Reader(large(2n ** 64n - 1n)).uint64()).toThrow(CodecError);
  expect(() => new Reader(Buffer.from([255, 255, 255, 255, 255, 1])).uint32()).toThrow(CodecError);
});

test("codec: what is cut off or points past the end is refused", () => {
  const reader = (...bytes: number[]) => new Reader(Buffer.from(bytes));
  expect(() => reader(5, 1, 2).bytes()).toThrow(CodecError);
  expect(() => reader(5, 1, 2).string()).toThrow(CodecError);
  expect(() => reader(1, 2, 3).fixed32()).toThrow(CodecError);
  expect(() => new Reader(Buffer.alloc(8), 0, 3).fixed32()).toThrow(CodecError);
  const read = reader(1, 2);
  read.uint32();
  expect(() => read.finish(2)).toThrow(CodecError);
  read.uint32();
  expect(() => read.finish(2)).not.toThrow();
  expect(() => read.finish(3)).toThrow(CodecError);
});

test("codec: fields of a newer version are passed over, whatever they are", () => {
  const unknown = new BinaryWriter();
  unknown.tag(1, 0).uint64(2n ** 64n - 1n);
  unknown.tag(2, 1).fixed64(7);
  unknown.tag(3, 2).bytes(Buffer.alloc(300));
  unknown.tag(4, 5).fixed32(7);
  const bytes = unknown.tag(5, 0).uint32(42).finish();
  const reader = new Reader(bytes);
  for (let tag = reader.uint32(); tag !== 5 << 3; tag = reader.uint32()) skipField(reader, tag);
  expect(reader.uint32()).toBe(42);
  expect(reader.pos).toBe(bytes.length);
  for (const tag of [0, 3, (1 << 3) | 3, (1 << 3) | 4, (1 << 3) | 6]) {
    expect(() => skipField(new Reader(Buffer.alloc(20)), tag)).toThrow(CodecError);
  }
  expect(() => skipField(new Reader(Buffer.alloc(11, 255)), 8)).toThrow(CodecError);
});

test("codec: a writer grows to what is written, and what it hands out stays as it was", () => {
  const writer = new Writer(8);
  writer.bytes(Buffer.alloc(5_000, 1));
  const first = writer.finish();
  expect(first.length).toBe(5_002);
  writer.pos = 0;
  writer.raw(Buffer.alloc(5_000, 2));
  expect(first[100]).toBe(1);
});
