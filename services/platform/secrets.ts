/**
 * The platform's secrets, made at the first start and kept: the key pair that signs tickets and the
 * secret that seals snapshots. Readable by the owner alone. The file with the private key is named
 * to the account service and to nobody else.
 */
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { newTicketKeys } from "../svrkit/ticket/sign.ts";
import type { TlsFiles } from "../svrkit/tls/credentials.ts";
import { AGENT_IDENTITY, CONTROL_IDENTITY } from "../svrkit/tls/identity.ts";
import type { PlatformConfig } from "./config.ts";
import { planLayout } from "./layout.ts";
import { paths } from "./paths.ts";

const SNAPSHOT_SECRET_BYTES = 32;

/** Name of the key pair; a second one, when keys are changed, gets another name. */
export const TICKET_KEY_ID = "k1";

export interface SecretFiles {
  readonly ticketPublicKey: string;
  readonly ticketPrivateKey: string;
  readonly snapshotSecret: string;
  /** Hashes of API keys; not there as long as nobody made one. */
  readonly apiKeys: string;
}

export function secretFiles(dataDir: string): SecretFiles {
  const dir = paths.secrets(dataDir);
  return {
    ticketPublicKey: join(dir, "ticket-public.pem"),
    ticketPrivateKey: join(dir, "ticket-private.pem"),
    snapshotSecret: join(dir, "snapshot-secret"),
    apiKeys: join(dir, "api-keys.json"),
  };
}

const CERTIFICATE_DAYS = 365;
/** The name of the command line's certificate, and of the service it is to others. */
const CLI = "cli";

/** Where a process's certificate lies; `process`: "a/logic". */
export function tlsFiles(dataDir: string, process: string): TlsFiles {
  const dir = tlsDir(dataDir);
  const name = process.replaceAll("/", "-");
  return {
    caFile: join(dir, "ca.pem"),
    certFile: join(dir, `${name}.pem`),
    keyFile: join(dir, `${name}-key.pem`),
  };
}

export function agentTlsFiles(dataDir: string, campus: string): TlsFiles {
  return tlsFiles(dataDir, `${campus}/${AGENT_IDENTITY}`);
}

export function cliTlsFiles(dataDir: string): TlsFiles {
  return tlsFiles(dataDir, CLI);
}

/**
 * Issues what is missing or near its end: a certificate for each process, one for the command line.
 * A process that runs takes a new one up by itself.
 */
export async function ensureCertificates(config: PlatformConfig): Promise<void> {
  // Loaded where it is needed: most commands never are.
  const { CertificateAuthority } = await import("./certificate-folder.ts");
  const authority = await CertificateAuthority.open(tlsDir(config.dataDir));
  for (const { name, services } of planLayout(config).processes) {
    const identities = [...services, CONTROL_IDENTITY];
    await authority.issue(name.replaceAll("/", "-"), identities, CERTIFICATE_DAYS);
  }
  for (const campus of config.campuses)
    await authority.issue(`${campus}-${AGENT_IDENTITY}`, [AGENT_IDENTITY], CERTIFICATE_DAYS);
  await authority.issue(CLI, [CLI], CERTIFICATE_DAYS);
}

function tlsDir(dataDir: string): string {
  return join(paths.secrets(dataDir), "tls");
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
