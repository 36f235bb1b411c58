/**
 * The id of a new group, made from its creator and the creator's request id.
 *
 * So a retry names the same table, and inserting the group's profile there is the one commit point
 * (M1): no row that maps requests to groups, no second write, nothing to finish after a crash. Ids
 * out of a counter would need both. 130 bits of a SHA-256 over the creator's id keep one user from
 * making another's group id.
 *
 *   "07" + "g" + 26 characters in base 32, "-" after the first of them as in every id
 */
import { createHash } from "node:crypto";

const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";
const CHARACTERS = 26;

export function groupIdOf(dc: number, creatorId: string, clientRequestId: string): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify(["group", creatorId, clientRequestId]));
  const bytes = hash.digest();
  let bits = BigInt(`0x${bytes.toString("hex")}`);
  let text = "";
  for (let i = 0; i < CHARACTERS; i++) {
    text += ALPHABET[Number(bits & 31n)];
    bits >>= 5n;
  }
  return `${dc.toString(16).padStart(2, "0")}g${text[0]}-${text.slice(1)}`;
}
