/** Tickets of many users, and a verifier that keeps a fifth of them ready. */
import { newTicketKeys, TicketSigner } from "../../services/svrkit/ticket/sign.ts";

export const TICKETS = 10_000;
export const READY = 2_000;
const DAY_MS = 24 * 3_600_000;

export interface Users {
  readonly publicKey: string;
  readonly tickets: readonly Buffer[];
}

export function makeUsers(count: number): Users {
  const { publicKey, privateKey } = newTicketKeys();
  const signer = new TicketSigner("k1", privateKey);
  const issuedAtMs = Date.now();
  const expiresAtMs = issuedAtMs + DAY_MS;
  const tickets = Array.from({ length: count }, (_, i) =>
    signer.sign({ userId: `01au1-${i.toString(36)}`, device: "phone", issuedAtMs, expiresAtMs }),
  );
  return { publicKey, tickets };
}
