/**
 * Names and records of the state engine.
 *
 *   register key   keyspace (1) | slot (2, big-endian) | key length (1) | key
 *   row key        register key | inner row key (class byte, caller's bytes)
 *   change key     register key | version (6, big-endian) | inner row key
 *
 * Every value begins with the crc32 of the rest; a value that does not match is never served.
 */
import { crc32 } from "node:zlib";
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { SLOTS } from "../../svrkit/failover/shards.ts";
import { murmur3 } from "../../svrkit/murmur3.ts";

/** Where the caller's bytes begin in a register key; their length is the byte before. */
export const KEY_AT = 4;

export function slotOf(key: Uint8Array): number {
  return murmur3(key) % SLOTS;
}

/** The register key; also the prefix of the table's rows and changes. */
export function registerKey(key: Key): Buffer {
  const bytes = Buffer.allocUnsafe(4 + key.key.length);
  bytes[0] = key.keyspace;
  bytes.writeUInt16BE(slotOf(key.key), 1);
  bytes[3] = key.key.length;
  bytes.set(key.key, 4);
  return bytes;
}

/** The key that a register key names, as a view. */
export function keyOf(own: Buffer): Key {
  return { keyspace: own[0]!, key: own.subarray(KEY_AT) };
}

/** A name that no key has is one that was another: nothing tells which. */
export function isKeys(name: Buffer): boolean {
  return name.equals(registerKey(keyOf(name)));
}

/** Keyspace and slot of a register key as one number, in the order of register keys. */
export function slotGroup(registerKey: Buffer): number {
  return registerKey.readUIntBE(0, 3);
}

/** Bytes that a Map can use as a key, and back. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

export function versionBytes(version: number): Buffer {
  const bytes = Buffer.allocUnsafe(6);
  bytes.writeUIntBE(version, 0, 6);
  return bytes;
}

/** `payload` behind its checksum. */
export function sealRecord(payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(4 + payload.length);
  bytes.set(payload, 4);
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
  return bytes;
}

/** The payload, or undefined when it is damaged. */
export function openRecord(bytes: Buffer): Buffer | undefined {
  if (bytes.length < 4) return undefined;
  const payload = bytes.subarray(4);
  return crc32(payload) === bytes.readUInt32LE(0) ? payload : undefined;
}

export interface StoredRow {
  readonly value: Uint8Array;
  readonly version: number;
  readonly deleted: boolean;
}

/** crc32 (4) | version (6) | deleted (1) | value */
export function sealRow(row: StoredRow): Buffer {
  const bytes = Buffer.allocUnsafe(11 + row.value.length);
  bytes.writeUIntBE(row.version, 4, 6);
  bytes[10] = row.deleted ? 1 : 0;
  bytes.set(row.value, 11);
  bytes.writeUInt32LE(crc32(bytes.subarray(4)), 0);
  return bytes;
}

/** The row, or undefined when it is damaged. */
export function openRow(bytes: Buffer): StoredRow | undefined {
  const payload = openRecord(bytes);
  if (payload === undefined || payload.length < 7) return undefined;
  return {
    version: payload.readUIntBE(0, 6),
    deleted: payload[6] === 1,
    value: payload.subarray(7),
  };
}
