/**
 * Snapshots (M5): the opaque map {account, contacts, messages} -> newest version that a device
 * stores and sends back. Authenticated, and bound to user and device, so that a device can neither
 * invent one nor use another's.
 *
 * Wire form: 1 byte format, 16 bytes HMAC-SHA-256 (cut), then the encoded SnapshotPayload.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import {
  decodeSnapshotPayload,
  encodeSnapshotPayload,
  makeSnapshotPayload,
  type SnapshotPayload,
} from "../../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import { fromBytes, toBytes } from "../codec.ts";
import { RpcError } from "../errors.ts";

const FORMAT = 1;
const MAC_BYTES = 16;
const SNAPSHOT_BYTES_MAX = 64;

export interface DeviceIdentity {
  readonly userId: string;
  readonly device: string;
}

export class SnapshotSealer {
  readonly #secret: KeyObject;

  constructor(secret: Uint8Array) {
    this.#secret = createSecretKey(secret);
  }

  seal(who: DeviceIdentity, versions: SnapshotPayload): Buffer {
    const payload = toBytes(encodeSnapshotPayload, versions);
    return Buffer.concat([Buffer.from([FORMAT]), this.#mac(who, payload), payload]);
  }

  /** The versions in a snapshot; all 0 for an empty one. Throws INVALID_ARGUMENT for a foreign one. */
  open(who: DeviceIdentity, snapshot: Uint8Array): SnapshotPayload {
    if (snapshot.length === 0) return makeSnapshotPayload({});
    const payload = snapshot.subarray(1 + MAC_BYTES);
    const mac = snapshot.subarray(1, 1 + MAC_BYTES);
    const whole =
      snapshot.length <= SNAPSHOT_BYTES_MAX && mac.length === MAC_BYTES && snapshot[0] === FORMAT;
    if (!whole || !timingSafeEqual(mac, this.#mac(who, payload))) {
      throw new RpcError(
        "INVALID_ARGUMENT",
        "the snapshot was not made for this user and device: sync with an empty one",
      );
    }
    return fromBytes(decodeSnapshotPayload, payload);
  }

  /** 32 bytes for another use that all campuses must agree on; nobody who has it learns the secret. */
  derivedKey(use: string): Buffer {
    return createHmac("sha256", this.#secret).update(`key for: ${use}`).digest();
  }

  #mac(who: DeviceIdentity, payload: Uint8Array): Buffer {
    const mac = createHmac("sha256", this.#secret);
    mac.update(`${who.userId.length}:${who.userId}${who.device.length}:${who.device}`);
    return mac.update(payload).digest().subarray(0, MAC_BYTES);
  }
}
