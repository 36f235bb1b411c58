/**
 * How this process proves to a server of others (NATS, Redis) who it is: files in one folder, as a
 * mounted Secret has them. All are optional:
 *
 *   username, password, token    what is told to the server
 *   ca.crt                       PEM: who may vouch for the server; with it connections are TLS
 *   tls.crt, tls.key             PEM: the certificate that is shown to the server
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface ServerSecrets {
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly token: string | undefined;
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** `dir` undefined: there are none. Throws when a file is there and cannot be read. */
export function readServerSecrets(dir: string | undefined): ServerSecrets {
  const text = (name: string): string | undefined => {
    if (dir === undefined) return undefined;
    try {
      return readFileSync(join(dir, name), "utf8").trim();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  };
  return {
    username: text("username"),
    password: text("password"),
    token: text("token"),
    ca: text("ca.crt"),
    cert: text("tls.crt"),
    key: text("tls.key"),
  };
}
