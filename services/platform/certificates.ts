/**
 * Certificates that name services (svrkit/tls/identity.ts), and the authorities that issue them, as
 * PEM texts: whoever calls this decides where they are kept. Whoever holds an authority's key can be
 * any service; it is needed only to issue.
 */
import "reflect-metadata"; // what @peculiar/x509 stands on; before it

import { randomBytes, webcrypto } from "node:crypto";
import { isIP } from "node:net";
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
import { identityUri } from "../svrkit/tls/identity.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 24 * 3_600_000;
const CA_DAYS = 3_650;
/** Clocks of other machines may be a little behind. */
const BACKDATED_MS = 3_600_000;
/** A certificate that is so near its end is issued anew. */
const RENEWAL_SHARE = 1 / 3;

type KeyPair = Awaited<ReturnType<typeof newKeys>>;

/** A certificate and its private key, PEM. */
export interface CertificateTexts {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateFacts {
  readonly name: string;
  readonly services: readonly string[];
  /** DNS names and IP addresses under which clients that are no services find its holder. */
  readonly hosts?: readonly string[];
  readonly days: number;
}

export async function newAuthority(): Promise<CertificateTexts> {
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
  return { cert: pem(certificate), key: await keyPem(keys) };
}

/** A certificate of that name by which its holder may speak for these services, at these addresses. */
export async function issueCertificate(
  authority: CertificateTexts,
  { name, services, hosts = [], days }: CertificateFacts,
): Promise<CertificateTexts> {
  const keys = await newKeys();
  const uris = services.map((service) => ({ type: "url" as const, value: identityUri(service) }));
  const signer = await signerOf(authority);
  const places = hosts.map((value) => ({ type: isIP(value) ? "ip" : "dns", value }) as const);
  const certificate = await X509CertificateGenerator.create({
    ...validFor(days),
    serialNumber: serialNumber(),
    subject: `CN=${name}`,
    issuer: signer.name,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: signer.key,
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([...uris, ...places]),
    ],
  });
  return { cert: pem(certificate), key: await keyPem(keys) };
}

interface Signer {
  readonly name: string;
  readonly key: KeyPair["privateKey"];
}

/** Reading an authority costs as much as issuing; one who issues many certificates does it once. */
const signers = new WeakMap<CertificateTexts, Promise<Signer>>();

function signerOf(authority: CertificateTexts): Promise<Signer> {
  let signer = signers.get(authority);
  if (signer === undefined) {
    const name = new X509Certificate(authority.cert).subject;
    signer = importKey(authority.key).then((key) => ({ name, key }));
    signers.set(authority, signer);
  }
  return signer;
}

/** It names exactly these services and is not near its end. */
export function isFresh(cert: string, services: readonly string[], nowMs = Date.now()): boolean {
  const uris = services.map(identityUri);
  const certificate = new X509Certificate(cert);
  const names = certificate.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  const named = names.map(({ value }) => value);
  if (named.length !== uris.length || !uris.every((uri) => named.includes(uri))) return false;
  const { notBefore, notAfter } = certificate;
  const lifeMs = notAfter.getTime() - notBefore.getTime();
  return notAfter.getTime() - nowMs > RENEWAL_SHARE * lifeMs;
}

function newKeys() {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

function pem(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}

async function keyPem({ privateKey }: KeyPair): Promise<string> {
  const der = await webcrypto.subtle.exportKey("pkcs8", privateKey);
  return `${PemConverter.encode(der, PemConverter.PrivateKeyTag)}\n`;
}

function importKey(text: string): Promise<KeyPair["privateKey"]> {
  const [der] = PemConverter.decode(text);
  if (der === undefined) throw new Error("the authority's key is no private key");
  return webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
}

function validFor(days: number): { notBefore: Date; notAfter: Date } {
  const nowMs = Date.now();
  return { notBefore: new Date(nowMs - BACKDATED_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

/** 16 random bytes, positive, without a leading zero. */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes.toString("hex");
}
