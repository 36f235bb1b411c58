/** The certificate of the client door, read again when its files change: renewals need no restart. */
import { readFileSync, statSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";
import type { Logger } from "../svrkit/log.ts";
import { setTrouble } from "../svrkit/monitors/trouble.ts";

const LOOK_EVERY_MS = 5_000;

export interface DoorFiles {
  /** PEM: the certificate, and what lies between it and its authority. */
  readonly certFile: string;
  readonly keyFile: string;
}

export function readDoorFiles({ certFile, keyFile }: DoorFiles): SecureContextOptions {
  return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
}

/** `renew` throws when the files do not fit together: then what was valid stays. Returns what ends it. */
export function watchDoorFiles(
  files: DoorFiles,
  { log, renew }: { log: Logger; renew: (options: SecureContextOptions) => void },
): () => void {
  let known = signatureOf(files);
  const look = () => {
    try {
      const signature = signatureOf(files);
      if (signature === known) return;
      renew(readDoorFiles(files));
      known = signature;
      setTrouble("client door", undefined);
      log.info("the client door's certificate was renewed");
    } catch (error) {
      setTrouble(
        "client door",
        `its certificate before stays in force: ${(error as Error).message}`,
      );
    }
  };
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  return () => clearInterval(timer);
}

function signatureOf(files: DoorFiles): string {
  const parts = [files.certFile, files.keyFile].map((path) => {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino} ${size} ${mtimeMs}`;
  });
  return parts.join();
}
