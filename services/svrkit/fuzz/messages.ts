/**
 * Protobuf: every message of every .proto file. A random message of protobuf-es is read by our codec,
 * written again, and the same to protobuf-es; a damaged one is refused with a CodecError, or read as something that
 * both codecs agree on once it is written again.
 */
import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import {
  create,
  type DescField,
  type DescFile,
  type DescMessage,
  fromBinary,
  type Message,
  ScalarType,
  toBinary,
} from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { CodecError, type Decode, type Encode, fromBytes, Reader, toBytes } from "../codec.ts";
import type { Random } from "../seeded-random.ts";
import { mutated, randomBytes } from "./mutate.ts";

const GENERATED = join(import.meta.dirname, "../../../protos/gen");
const DEPTH_MAX = 3;
const REPEATED_MAX = 3;
const STRINGS = ["", "a", "user-17", "ä€😀", "x".repeat(130)];

interface Codec {
  readonly schema: DescMessage;
  readonly encode: Encode<unknown>;
  readonly decode: Decode<unknown>;
}

async function loadCodecs(): Promise<Codec[]> {
  const paths = globSync("tricampus/**/*_pb.ts", { cwd: GENERATED }).sort();
  const found: Codec[] = [];
  for (const path of paths) {
    const load = async (name: string) =>
      (await import(pathToFileURL(join(GENERATED, name)).href)) as Record<string, unknown>;
    const described = await load(path);
    const codec = await load(path.replace("_pb.ts", "_codec.ts"));
    const file = Object.entries(described).find(([name]) => name.startsWith("file_"))?.[1];
    for (const schema of (file as DescFile).messages) {
      const encode = codec[`encode${schema.name}`] as Encode<unknown> | undefined;
      const decode = codec[`decode${schema.name}`] as Decode<unknown> | undefined;
      if (encode !== undefined && decode !== undefined) found.push({ schema, encode, decode });
    }
  }
  return found;
}

const codecs = await loadCodecs();

export const MESSAGES = codecs.length;

export function fuzzMessages(random: Random): void {
  const { schema, encode, decode } = random.pick(codecs);
  const bytes = toBinary(schema, randomMessage(random, schema, 0));
  const about = (of: Uint8Array) => `${schema.typeName} ${Buffer.from(of).toString("hex")}`;
  const ours = toBytes(encode, fromBytes(decode, bytes));
  // The members of a oneof may stand elsewhere: protobuf-es puts them in its order.
  const canonical = (written: Uint8Array) => toBinary(schema, fromBinary(schema, written));
  assert(Buffer.from(canonical(ours)).equals(bytes), `our bytes differ: ${about(bytes)}`);
  const damaged = random.chance(0.9)
    ? mutated(random, bytes)
    : randomBytes(random, random.index(60));
  const reader = new Reader(damaged);
  let read: unknown;
  try {
    read = decode(reader, reader.end);
  } catch (error) {
    if (error instanceof CodecError) return;
    throw error;
  }
  assert(reader.pos === reader.end, `not read to its end: ${about(damaged)}`);
  const again = toBytes(encode, read);
  const stable = toBytes(encode, fromBytes(decode, again));
  assert(stable.equals(again), `not stable: ${about(damaged)}`);
  const theirs = toBytes(encode, fromBytes(decode, canonical(again)));
  assert(theirs.equals(again), `they differ: ${about(damaged)}`);
}

function randomMessage(random: Random, schema: DescMessage, depth: number): Message {
  const message = create(schema);
  const fields = reflect(schema, message);
  for (const member of schema.members) {
    const field = member.kind === "oneof" ? random.pick(member.fields) : member;
    if (random.chance(0.4)) continue;
    if (field.fieldKind === "list") {
      for (let left = random.index(REPEATED_MAX + 1); left > 0; left--) {
        const value = randomValue(random, field, depth);
        if (value !== undefined) fields.get(field).add(value as never);
      }
      continue;
    }
    const value = randomValue(random, field, depth);
    if (value !== undefined) fields.set(field, value as never);
  }
  return message;
}

/** undefined: too deep. */
function randomValue(random: Random, field: DescField, depth: number): unknown {
  if (field.message !== undefined) {
    if (depth >= DEPTH_MAX) return undefined;
    return reflect(field.message, randomMessage(random, field.message, depth + 1));
  }
  if (field.enum !== undefined) return random.pick(field.enum.values).number;
  const small = random.index(random.pick([2, 200, 100_000]));
  switch (field.scalar) {
    case ScalarType.STRING:
      return random.pick(STRINGS);
    case ScalarType.BYTES:
      return randomBytes(random, random.index(random.pick([2, 40, 200])));
    case ScalarType.BOOL:
      return random.chance(0.5);
    case ScalarType.UINT64:
      return BigInt(random.chance(0.2) ? Number.MAX_SAFE_INTEGER : small);
    case ScalarType.SINT64:
    case ScalarType.INT64:
      return BigInt(random.chance(0.5) ? -small : small);
    default:
      return small;
  }
}
