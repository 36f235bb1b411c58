/**
 * The public keys of tickets, from files named in the configuration, or from a folder in which each
 * `<id>.pem` is one and which may change while the process runs: the next key is put there before the first
 * ticket is signed with it, and the old one taken away when its last ticket has expired.
 */
import { createPublicKey } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { signatureOfFiles, Watched } from "../svrkit/config/watched.ts";
import type { Logger } from "../svrkit/log.ts";

type Keys = Readonly<Record<string, string>>;

const SUFFIX = ".pem";

/** `files`: paths by key id; `dir` counts before them. Throws when one of them is none. */
export function ticketKeys(
  { files, dir }: { files: Readonly<Record<string, string>>; dir: string | undefined },
  log: Logger,
): Watched<Keys> {
  let hadFolder = false;
  const paths = () => {
    if (dir === undefined) return files;
    // Where no ticket is checked there is no folder. One that is gone is being changed, or was lost.
    if (!hadFolder && !existsSync(dir)) return {};
    return keysIn(dir);
  };
  return new Watched<Keys>(
    {
      name: "ticket keys",
      load: () => {
        const keys = load(paths());
        hadFolder = Object.keys(keys).length > 0;
        return keys;
      },
      signature: () => signatureOfFiles(Object.values(paths())),
    },
    log,
  );
}

/** Paths by id: "k1" for k1.pem. Throws when there is none. */
export function keysIn(dir: string): Record<string, string> {
  const names = readdirSync(dir).filter((name) => name.endsWith(SUFFIX));
  if (names.length === 0) throw new Error(`there is no key in ${dir}`);
  return Object.fromEntries(
    names.sort().map((name) => [name.slice(0, -SUFFIX.length), join(dir, name)]),
  );
}

function load(paths: Readonly<Record<string, string>>): Keys {
  const keys = Object.entries(paths).map(([id, path]) => [id, keyIn(path)] as const);
  return Object.fromEntries(keys);
}

function keyIn(path: string): string {
  const pem = readFileSync(path, "utf8");
  try {
    createPublicKey(pem);
  } catch (error) {
    throw new Error(`${path} is no public key: ${(error as Error).message}`, { cause: error });
  }
  return pem;
}
