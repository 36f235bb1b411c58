/** Under which secret an integrator's server is called (signature.ts). Where it is: hook-schema.ts. */
import { readFileSync } from "node:fs";
import { signatureOfFiles, Watched } from "../svrkit/config/watched.ts";
import type { ServiceContext } from "../svrkit/context.ts";

/** Throws when there is nothing in the file: what is signed with nothing anybody can sign. */
function readHookSecret(path: string): string {
  const secret = readFileSync(path, "utf8").trim();
  if (secret === "")
    throw new Error(`${path} is empty: write the secret into it that requests are signed with`);
  return secret;
}

/** The same while the process runs, read again when the file changes. */
export function followedHookSecret(
  hook: string,
  path: string,
  { log, lifecycle }: Pick<ServiceContext, "log" | "lifecycle">,
): () => string {
  const load = () => readHookSecret(path);
  const source = { name: `secret for ${hook}`, load, signature: () => signatureOfFiles([path]) };
  const watched = new Watched(source, log);
  watched.watch();
  lifecycle.onStop(`hooks: secret for ${hook}`, () => watched.stop());
  return () => watched.value;
}
