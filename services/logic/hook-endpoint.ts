/** Under which secret an integrator's server is called (signature.ts). Where it is: hook-schema.ts. */
import { readFileSync } from "node:fs";

/** Throws when there is nothing in the file: what is signed with nothing anybody can sign. */
export function readHookSecret(path: string): string {
  const secret = readFileSync(path, "utf8").trim();
  if (secret === "")
    throw new Error(`${path} is empty: write the secret into it that requests are signed with`);
  return secret;
}
