/** Making tickets: only the account service holds the private key. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { encodeTicketPayload } from "../../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import { toBytes } from "../codec.ts";
import { TICKET_FORMAT } from "./verify.ts";

export class TicketSigner {
  readonly #key: KeyObject;
  readonly #keyId: string;

  constructor(keyId: string, privateKeyPem: string) {
    this.#key = createPrivateKey(privateKeyPem);
    this.#keyId = keyId;
  }

  sign(facts: { userId: string; device: string; issuedAtMs: number; expiresAtMs: number }): Buffer {
    const payload = toBytes(encodeTicketPayload, { ...facts, keyId: this.#keyId });
    return Buffer.concat([Buffer.from([TICKET_FORMAT]), sign(null, payload, this.#key), payload]);
  }
}

/** A new key pair as PEM. */
export function newTicketKeys(): { publicKey: string; privateKey: string } {
  return generateKeyPairSync("ed25519", {
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
}
