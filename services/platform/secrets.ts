/**
 * The platform's secrets, made at the first start and kept: the key pair that signs tickets and the
 * secret that seals snapshots. Readable by the owner alone. The file with the private key is named
 * to the account service and to nobody else.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newTicketKeys } from "../svrkit/ticket/sign.ts";
import { paths } from "./paths.ts";

const SNAPSHOT_SECRET_BYTES = 32;

/** Name of the key pair; a second one, when keys are changed, gets another name. */
export const TICKET_KEY_ID = "k1";

export interface SecretFiles {
  readonly ticketPublicKey: string;
  readonly ticketPrivateKey: string;
  readonly snapshotSecret: string;
}

export function secretFiles(dataDir: string): SecretFiles {
  const dir = paths.secrets(dataDir);
  return {
    ticketPublicKey: join(dir, "ticket-public.pem"),
    ticketPrivateKey: join(dir, "ticket-private.pem"),
    snapshotSecret: join(dir, "snapshot-secret"),
  };
}

/** Makes what is missing. All or nothing: the folder appears complete, by one rename. */
export function ensureSecrets(dataDir: string): void {
  const dir = paths.secrets(dataDir);
  if (existsSync(dir)) return;
  const temporary = `${dir}.${process.pid}.new`;
  mkdirSync(temporary, { recursive: true, mode: 0o700 });
  const { publicKey, privateKey } = newTicketKeys();
  const write = (name: string, content: string | Buffer) =>
    writeFileSync(join(temporary, name), content, { mode: 0o600 });
  write("ticket-public.pem", publicKey);
  write("ticket-private.pem", privateKey);
  write("snapshot-secret", randomBytes(SNAPSHOT_SECRET_BYTES));
  renameSync(temporary, dir);
}
