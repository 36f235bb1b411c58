/**
 * API keys of integrators' servers, in a file of hashes: what the command line writes and the account
 * service reads. A key is 32 random bytes, shown once; who reads the file cannot use it.
 */
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { z } from "zod";

/**
 * users: import and find them; tickets: act for any user; audit: read the log; dead-letters: look after what
 * was never told.
 */
export const API_SCOPES = ["users", "tickets", "audit", "dead-letters"] as const;

export type ApiScope = (typeof API_SCOPES)[number];

const KEY_BYTES = 32;

const schema = z.strictObject({
  keys: z.array(
    z.strictObject({
      name: z.string().regex(/^[a-z0-9-]{1,64}$/, "a key is named by 1-64 of a-z, 0-9 and -"),
      /** Of the key's bytes, as hex. */
      sha256: z.string().regex(/^[0-9a-f]{64}$/),
      /** Of a newer version's, those not known here give nothing and stay in the file. */
      scopes: z.array(z.string().regex(/^[a-z-]{1,64}$/)).min(1),
      createdAtMs: z.int().min(0),
    }),
  ),
});

export type ApiKeyRecord = z.output<typeof schema>["keys"][number];

/** A file that is not there has none; throws when it cannot be read. */
export function readApiKeys(path: string): ApiKeyRecord[] {
  if (!existsSync(path)) return [];
  return schema.parse(JSON.parse(readFileSync(path, "utf8"))).keys;
}

export function writeApiKeys(path: string, keys: readonly ApiKeyRecord[]): void {
  const text = JSON.stringify(schema.parse({ keys }), null, 2);
  writeFileSync(`${path}.new`, `${text}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** As it is sent: base64url. */
export function newApiKey(): string {
  return randomBytes(KEY_BYTES).toString("base64url");
}

export function hashOfApiKey(key: Uint8Array): string {
  return createHash("sha256").update(key).digest("hex");
}
