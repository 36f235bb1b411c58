/**
 * Tickets: proof of login, signed by the account service alone (Ed25519), verified by everybody.
 *
 * Wire form: 1 byte format, 64 bytes signature over the rest, then the encoded TicketPayload. A check of
 * the signature costs about 60 µs, so verified tickets are remembered (remembered.ts). Keys have ids, so
 * that a new one can be known everywhere before the first ticket is signed with it, and the old one until
 * its last ticket has expired.
 */
import { createPublicKey, type KeyObject, verify } from "node:crypto";
import {
  decodeTicketPayload,
  type TicketPayload,
} from "../../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import type { Call } from "../call.ts";
import { fromBytes, Reader } from "../codec.ts";
import { RpcError } from "../errors.ts";
import { RememberedTickets } from "./remembered.ts";
import type { Revocations } from "./revocations.ts";

export const TICKET_FORMAT = 1;
const SIGNATURE_BYTES = 64;
const TICKET_BYTES_MAX = 512;

/** Tickets remembered as facts, some 300 bytes each, and as bytes, 256 each. */
const READY = 2_000;
const SLOTS = 65_536;

export type VerifiedTicket = Readonly<TicketPayload>;

interface VerifierOptions {
  /** Tickets remembered as facts, and as bytes. */
  readonly ready?: number;
  readonly slots?: number;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** Without them none is heeded. */
  readonly revocations?: Revocations;
}

/** Asked before a stranger's signature is checked; a good one gives back what it took. */
export interface CheckLimit {
  take(): boolean;
  giveBack(): void;
}

export class TicketVerifier {
  #keys: ReadonlyMap<string, KeyObject> = new Map();
  readonly #remembered: RememberedTickets<VerifiedTicket>;
  readonly #now: () => number;
  readonly #revocations: Revocations | undefined;

  /** `publicKeys`: PEM by key id. */
  constructor(publicKeys: Readonly<Record<string, string>>, options: VerifierOptions = {}) {
    const { ready = READY, slots = SLOTS } = options;
    this.#remembered = new RememberedTickets({ ready, slots });
    this.#now = options.now ?? Date.now;
    this.#revocations = options.revocations;
    this.setKeys(publicKeys);
  }

  /**
   * From now on these keys count, and no others; tickets of a key that is gone are refused at once. Throws
   * and changes nothing when one of them is no key.
   */
  setKeys(publicKeys: Readonly<Record<string, string>>): void {
    const keys = Object.entries(publicKeys).map(([id, pem]) => {
      return [id, createPublicKey(pem)] as const;
    });
    this.#keys = new Map(keys);
    this.#remembered.clear();
  }

  /** Ids of the keys that count. */
  get keyIds(): readonly string[] {
    return [...this.#keys.keys()];
  }

  get revocations(): Revocations | undefined {
    return this.#revocations;
  }

  /**
   * Who the ticket is for; throws UNAUTHENTICATED when it is missing, forged or expired, and
   * RESOURCE_EXHAUSTED when `limit` lets no more be checked.
   */
  verify(ticket: Uint8Array, limit?: CheckLimit): VerifiedTicket {
    if (ticket.length === 0)
      throw new RpcError("UNAUTHENTICATED", "no ticket was sent: log in first");
    const known = this.#remembered.find(ticket, factsOf) ?? this.#check(ticket, limit);
    if (known.expiresAtMs <= this.#now())
      throw new RpcError("UNAUTHENTICATED", "the ticket has expired: log in again");
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

  /** Whose ticket it is, or was before it expired or its device was logged out; undefined: it is none of ours. */
  onceOf(ticket: Uint8Array): VerifiedTicket | undefined {
    if (ticket.length === 0) return undefined;
    try {
      return this.#remembered.find(ticket, factsOf) ?? this.#check(ticket, undefined);
    } catch {
      return undefined;
    }
  }

  /** The user on whose ticket a call was made. */
  userOf(call: Call): VerifiedTicket {
    return this.verify(call.ticket);
  }

  #check(ticket: Uint8Array, limit: CheckLimit | undefined): VerifiedTicket {
    const payload = this.#payload(ticket);
    const key = this.#keys.get(payload.keyId);
    const signed = ticket.subarray(1 + SIGNATURE_BYTES);
    const signature = ticket.subarray(1, 1 + SIGNATURE_BYTES);
    if (key === undefined) throw forged();
    if (limit?.take() === false) throw tooMany();
    if (!verify(null, signed, key, signature)) throw forged();
    limit?.giveBack();
    this.#remembered.add(ticket, payload);
    return payload;
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

/** Of a ticket that was verified before. */
function factsOf(ticket: Uint8Array): VerifiedTicket {
  const reader = new Reader(ticket, 1 + SIGNATURE_BYTES);
  return decodeTicketPayload(reader, reader.end);
}

function forged(): RpcError {
  return new RpcError("UNAUTHENTICATED", "the ticket is not one of ours: log in again");
}

function tooMany(): RpcError {
  return new RpcError(
    "RESOURCE_EXHAUSTED",
    "too many forged tickets come from there: wait a little",
    {
      retryable: true,
    },
  );
}
