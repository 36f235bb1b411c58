/**
 * What lies in a user's table, by row key:
 *
 *   p             the profile
 *   i             how the user logs in: its record without the password
 *   s             settings
 *   d/<device>    a device that is logged in
 *   x/<device>    tickets that are not good any more; x/ alone: of all devices
 *   gone          the account was deleted: the rest goes
 *
 * Its version is the account part of a snapshot. A log-out concerns two tables: the user's own, which
 * is the commit point, and the one that everybody follows (revoked-client.ts). The row x/ says whether
 * it was carried there; whoever changes the user's devices next makes up for what was not.
 */
import {
  type AccountChange,
  decodeAccountSettings,
  decodeUserProfile,
  encodeAccountSettings,
  encodeUserProfile,
} from "../../../protos/gen/tricampus/client/v1/account_codec.ts";
import {
  decodeStoredDevice,
  decodeStoredRevocation,
  encodeStoredDevice,
  encodeStoredRevocation,
  type StoredDevice,
  type StoredRevocation,
} from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import {
  type Guard,
  type Key,
  Keyspace,
  type RowOperation,
  type VersionedRow,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { fromBytes, toBytes } from "../../svrkit/codec.ts";

export const PROFILE_ROW = Buffer.from("p");
export const SETTINGS_ROW = Buffer.from("s");
export const IDENTITY_ROW = Buffer.from("i");
export const GONE_ROW = Buffer.from("gone");
const DEVICE = "d/";
const REVOKED = "x/";

export function userKey(userId: string): Key {
  return { keyspace: Keyspace.ACCOUNT, key: Buffer.from(`user/${userId}`) };
}

/** A user's devices and log-outs, as they lie there. */
export interface UserRows {
  readonly devices: readonly StoredDevice[];
  readonly revocations: readonly StoredRevocation[];
  readonly isGone: boolean;
  /** By row key. */
  readonly versions: ReadonlyMap<string, number>;
}

export function readUserRows(rows: readonly VersionedRow[]): UserRows {
  const devices: StoredDevice[] = [];
  const revocations: StoredRevocation[] = [];
  const versions = new Map<string, number>();
  let isGone = false;
  for (const { row, value, version } of rows) {
    const name = textOf(row);
    versions.set(name, version);
    if (name.startsWith(DEVICE)) devices.push(fromBytes(decodeStoredDevice, value));
    else if (name.startsWith(REVOKED)) revocations.push(fromBytes(decodeStoredRevocation, value));
    else isGone ||= name === "gone";
  }
  return { devices, revocations, isGone, versions };
}

/** The device is as it was when the rows were read. */
export function sameDevice({ versions }: UserRows, device: string): Guard {
  return rowAt(DEVICE + device, versions.get(DEVICE + device));
}

/** No log-out of the device, or with "" of all, has come since the rows were read. */
export function sameRevocation({ versions }: UserRows, device: string): Guard {
  return revocationAt(device, versions.get(REVOKED + device));
}

/** The device's log-out, or with "" that of all, is the one written at this version of the table. */
export function revocationAt(device: string, version: number | undefined): Guard {
  return rowAt(REVOKED + device, version);
}

function rowAt(name: string, version = 0): Guard {
  return { guard: { case: "row", value: { row: Buffer.from(name), version } } };
}

export function deviceRow(stored: StoredDevice): RowOperation {
  return upsert(DEVICE + stored.device!.device, toBytes(encodeStoredDevice, stored));
}

export function noDeviceRow(device: string): RowOperation {
  return { operation: { case: "delete", value: Buffer.from(DEVICE + device) } };
}

export function revocationRow(stored: StoredRevocation): RowOperation {
  const name = REVOKED + stored.revocation!.device;
  return upsert(name, toBytes(encodeStoredRevocation, stored));
}

export function noRevocationRow(device: string): RowOperation {
  return { operation: { case: "delete", value: Buffer.from(REVOKED + device) } };
}

function upsert(row: string, value: Uint8Array): RowOperation {
  return { operation: { case: "upsert", value: { row: Buffer.from(row), value } } };
}

export { decodeUserProfile, encodeAccountSettings, encodeUserProfile };

/** A changed row as the user's devices get it; undefined for one that is not theirs to see. */
export function readChange({ row, value, deleted }: VersionedRow): AccountChange | undefined {
  const name = textOf(row);
  if (name.startsWith(DEVICE)) {
    const gone = { case: "goneDevice", value: name.slice(DEVICE.length) } as const;
    if (deleted) return { change: gone };
    const { device } = fromBytes(decodeStoredDevice, value);
    return { change: { case: "device", value: device! } };
  }
  if (deleted) return undefined;
  if (name === "p") {
    return { change: { case: "profile", value: fromBytes(decodeUserProfile, value) } };
  }
  if (name !== "s") return undefined;
  return { change: { case: "settings", value: fromBytes(decodeAccountSettings, value) } };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
