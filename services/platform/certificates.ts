/**
 * Certificates for the platform's processes, for installations that have no authority of their own:
 * an authority in one folder, and certificates that name services (svrkit/tls/identity.ts). Whoever
 * holds the authority's key can be any service; it is needed only to issue.
 */
import "reflect-metadata"; // what @peculiar/x509 stands on; before it

import { randomBytes, webcrypto } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { TlsFiles } from "../svrkit/tls/credentials.ts";
import { identityUri } from "../svrkit/tls/identity.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 3_600_000;
const CA_DAYS = 3_650;
/** Clocks of other machines may be a little behind. */
const BACKDATED_MS = 3_600_000;
/** A certificate that is so near its end is issued anew. */
const RENEWAL_SHARE = 1 / 3;

type KeyPair = Awaited<ReturnType<typeof newKeys>>;
type PrivateKey = KeyPair["privateKey"];

export class CertificateAuthority {
  readonly #dir: string;
  readonly #certificate: X509Certificate;
  readonly #key: PrivateKey;

  private constructor(dir: string, certificate: X509Certificate, key: PrivateKey) {
    this.#dir = dir;
    this.#certificate = certificate;
    this.#key = key;
  }

  /** The authority of a folder; made when the folder has none. */
  static async open(dir: string): Promise<CertificateAuthority> {
    const certFile = join(dir, "ca.pem");
    const keyFile = join(dir, "ca-key.pem");
    if (!existsSync(certFile)) await makeAuthority(dir, certFile, keyFile);
    const key = await readKey(keyFile);
    return new CertificateAuthority(dir, new X509Certificate(readFileSync(certFile, "utf8")), key);
  }

  /**
   * Files with a certificate of that name for these services, in the authority's folder. One that is
   * there already, names the same services and is not near its end stays.
   */
  async issue(name: string, services: readonly string[], days: number): Promise<TlsFiles> {
    const files = {
      caFile: join(this.#dir, "ca.pem"),
      certFile: join(this.#dir, `${name}.pem`),
      keyFile: join(this.#dir, `${name}-key.pem`),
    };
    const uris = services.map(identityUri);
    if (isFresh(files.certFile, uris)) return files;
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.create({
      ...validFor(days),
      serialNumber: serialNumber(),
      subject: `CN=${name}`,
      issuer: this.#certificate.subject,
      signingAlgorithm: ALGORITHM,
      publicKey: keys.publicKey,
      signingKey: this.#key,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        new SubjectAlternativeNameExtension(uris.map((value) => ({ type: "url", value }))),
      ],
    });
    write(files.keyFile, await pemOf(keys));
    write(files.certFile, certificate.toString("pem"));
    return files;
  }
}

async function makeAuthority(dir: string, certFile: string, keyFile: string): Promise<void> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const keys = await newKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    ...validFor(CA_DAYS),
    serialNumber: serialNumber(),
    name: "CN=tricampus authority",
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  });
  // The certificate last: an authority is there when it is whole.
  write(keyFile, await pemOf(keys));
  write(certFile, certificate.toString("pem"));
}

function newKeys() {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function pemOf({ privateKey }: KeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", privateKey);
  return PemConverter.encode(der, PemConverter.PrivateKeyTag);
}

function readKey(path: string): Promise<PrivateKey> {
  const [der] = PemConverter.decode(readFileSync(path, "utf8"));
  if (der === undefined) throw new Error(`${path} holds no private key`);
  return webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

function validFor(days: number): { notBefore: Date; notAfter: Date } {
  const nowMs = Date.now();
  return { notBefore: new Date(nowMs - BACKDATED_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

function isFresh(certFile: string, uris: readonly string[]): boolean {
  if (!existsSync(certFile)) return false;
  const certificate = new X509Certificate(readFileSync(certFile, "utf8"));
  const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const named = names.map(({ value }) => value);
  if (named.length !== uris.length || !uris.every((uri) => named.includes(uri))) return false;
  const { notBefore, notAfter } = certificate;
  const lifeMs = notAfter.getTime() - notBefore.getTime();
  return notAfter.getTime() - Date.now() > RENEWAL_SHARE * lifeMs;
}

/** 16 random bytes, positive, without a leading zero. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString("hex");
}

function write(path: string, pem: string): void {
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, `${pem}\n`, { mode: 0o600 });
  renameSync(temporary, path);
}
