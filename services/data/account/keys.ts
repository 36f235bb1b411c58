/** Keys of the account keyspace; see handlers.ts. */
import { createHash } from "node:crypto";
import type { AccountRecord } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import { type Key, Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { requireArgument } from "../../svrkit/errors.ts";

const NAME_CHARACTERS_MAX = 64;

/** Where the record of a name, or of an issuer's subject, lies. */
export function keyOf({ name, issuer, subject }: AccountRecord): Key {
  return name === "" && subject !== "" ? subjectKey(issuer, subject) : nameKey(name);
}

export function nameKey(name: string): Key {
  requireArgument(
    name.length >= 1 && name.length <= NAME_CHARACTERS_MAX,
    "a name has 1-64 characters",
  );
  return accountKey(`name/${name.toLowerCase()}`);
}

/** Hashed: both are of any length, and not ours to read in a key. */
export function subjectKey(issuer: string, subject: string): Key {
  const hash = createHash("sha256")
    .update(JSON.stringify([issuer, subject]))
    .digest("hex");
  return accountKey(`subject/${hash}`);
}

/** What was done with API keys: see api-audit.ts. */
export const AUDIT_KEY: Key = accountKey("api-audit");

export function confirmedKey(userId: string): Key {
  return accountKey(`confirmed/${userId}`);
}

function accountKey(name: string): Key {
  return { keyspace: Keyspace.ACCOUNT, key: Buffer.from(name) };
}
