/** How a platform is told where an integrator's server is, and under which secret it is called (signature.ts). */
import { readFileSync } from "node:fs";
import { z } from "zod";

/** A name and a password in it would stand wherever configurations and troubles are shown. */
export const hookUrl = z
  .url({ protocol: /^https?$/ })
  .regex(/^[^/]+:\/\/[^/?#@]+([/?#]|$)/, "no name and no password in it: requests are signed");

/** Throws when there is nothing in the file: what is signed with nothing anybody can sign. */
export function readHookSecret(path: string): string {
  const secret = readFileSync(path, "utf8").trim();
  if (secret === "")
    throw new Error(`${path} is empty: write the secret into it that requests are signed with`);
  return secret;
}
