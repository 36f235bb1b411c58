/** How integrators' servers know that a request is the platform's: docs/protocol.md says how to check it. */
import { createHmac } from "node:crypto";

/** Header of every request: when it was signed, and the HMAC-SHA256 of that time, a dot and the body. */
export const SIGNATURE_HEADER = "x-tricampus-signature";

/** `atMs`: milliseconds since 1970. */
export function signatureOf(secret: string, atMs: number, body: string): string {
  const hmac = createHmac("sha256", secret).update(`${atMs}.${body}`).digest("hex");
  return `t=${atMs},v1=${hmac}`;
}
