/**
 * Tickets: proof of login, signed by the account service alone (Ed25519), verified by everybody.
 *
 * Wire form: 1 byte format, 64 bytes signature over the rest, then the encoded TicketPayload.
 * A verification costs about 60 µs, so verified tickets are remembered, bounded, oldest out first;
 * what is remembered is the whole ticket, so a changed byte is never taken for a known one.
 */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import {
  decodeTicketPayload,
  type TicketPayload,
} from "../../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import type { Call } from "../call.ts";
import { fromBytes } from "../codec.ts";
import { RpcError } from "../errors.ts";
import type { Revocations } from "./revocations.ts";

export const TICKET_FORMAT = 1;
const SIGNATURE_BYTES = 64;
const TICKET_BYTES_MAX = 512;

export interface VerifiedTicket {
  readonly userId: string;
  readonly device: string;
  readonly issuedAtMs: number;
  readonly expiresAtMs: number;
}

export class TicketVerifier {
  readonly #keys = new Map<string, KeyObject>();
  readonly #verified = new Map<string, VerifiedTicket>();
  readonly #remember: number;
  readonly #now: () => number;
  readonly #revocations: Revocations | undefined;

  /** `publicKeys`: PEM by key id. `now`: milliseconds since 1970. Without `revocations` none is heeded. */
  constructor(
    publicKeys: Readonly<Record<string, string>>,
    options: { remember?: number; now?: () => number; revocations?: Revocations } = {},
  ) {
    for (const [id, pem] of Object.entries(publicKeys)) this.#keys.set(id, createPublicKey(pem));
    this.#remember = options.remember ?? 10_000;
    this.#now = options.now ?? Date.now;
    this.#revocations = options.revocations;
  }

  get revocations(): Revocations | undefined {
    return this.#revocations;
  }

  /** Who the ticket is for; throws UNAUTHENTICATED when it is missing, forged or expired. */
  verify(ticket: Uint8Array): VerifiedTicket {
    if (ticket.length === 0)
      throw new RpcError("UNAUTHENTICATED", "no ticket was sent: log in first");
    const name = Buffer.from(ticket.buffer, ticket.byteOffset, ticket.byteLength).toString(
      "latin1",
    );
    const known = this.#verified.get(name) ?? this.#check(ticket, name);
    if (known.expiresAtMs <= this.#now()) {
      this.#verified.delete(name);
      throw new RpcError("UNAUTHENTICATED", "the ticket has expired: log in again");
    }
    this.#requireGood(known);
    return known;
  }

  #requireGood(ticket: VerifiedTicket): void {
    if (this.#revocations === undefined) return;
    if (!this.#revocations.isKnown) {
      throw new RpcError("UNAVAILABLE", "this process does not know yet which tickets are good");
    }
    const reason = this.#revocations.reasonAgainst(ticket);
    if (reason === undefined) return;
    throw new RpcError("UNAUTHENTICATED", `this device was logged out (${reason}): log in again`);
  }

  /** The user on whose ticket a call was made. */
  userOf(call: Call): VerifiedTicket {
    return this.verify(call.ticket);
  }

  #check(ticket: Uint8Array, name: string): VerifiedTicket {
    const payload = this.#payload(ticket);
    const key = this.#keys.get(payload.keyId);
    const signed = ticket.subarray(1 + SIGNATURE_BYTES);
    const signature = ticket.subarray(1, 1 + SIGNATURE_BYTES);
    if (key === undefined || !verify(null, signed, key, signature)) throw forged();
    const { userId, device, issuedAtMs, expiresAtMs } = payload;
    const verified = { userId, device, issuedAtMs, expiresAtMs };
    if (this.#verified.size >= this.#remember) {
      const oldest = this.#verified.keys().next();
      if (!oldest.done) this.#verified.delete(oldest.value);
    }
    this.#verified.set(name, verified);
    return verified;
  }

  #payload(ticket: Uint8Array): TicketPayload {
    if (
      ticket.length > TICKET_BYTES_MAX ||
      ticket.length <= 1 + SIGNATURE_BYTES ||
      ticket[0] !== TICKET_FORMAT
    ) {
      throw forged();
    }
    try {
      return fromBytes(decodeTicketPayload, ticket.subarray(1 + SIGNATURE_BYTES));
    } catch {
      throw forged();
    }
  }
}

function forged(): RpcError {
  return new RpcError("UNAUTHENTICATED", "the ticket is not one of ours: log in again");
}
