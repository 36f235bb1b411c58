/**
 * The private key that tickets are signed with. In a folder the last one by name counts, also one that comes
 * while the process runs: its public half must be where tickets are checked before (platform/ticket-keys.ts).
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { signatureOfFiles, Watched } from "../../svrkit/config/watched.ts";
import type { Logger } from "../../svrkit/log.ts";
import { TicketSigner } from "../../svrkit/ticket/sign.ts";
import type { AccountConfig } from "./config.ts";

const SUFFIX = ".pem";

type Places = Pick<AccountConfig, "keyId" | "privateKeyFile" | "privateKeysDir">;

/** Throws when what is there at first is no key. */
export function signingKey(places: Places, log?: Logger): Watched<TicketSigner> {
  const load = () => {
    const { privateKeysDir: dir, keyId } = places;
    // Once: between two looks another key may come, and an id with another's key signs nothing good.
    const path = newestIn(places);
    const id = dir === undefined ? keyId : basename(path, SUFFIX);
    return new TicketSigner(id, readFileSync(path, "utf8"));
  };
  const signature = () => signatureOfFiles([newestIn(places)]);
  const source = { name: "ticket signing key", load, signature };
  return new Watched<TicketSigner>(source, log);
}

function newestIn({ privateKeysDir: dir, privateKeyFile }: Places): string {
  if (dir === undefined) return privateKeyFile;
  const names = readdirSync(dir).filter((name) => name.endsWith(SUFFIX));
  const newest = names.toSorted().at(-1);
  if (newest === undefined) throw new Error(`there is no key in ${dir}`);
  return join(dir, newest);
}
