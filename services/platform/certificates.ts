/**
 * Certificates that name services (svrkit/tls/identity.ts), and the authorities that issue them, as
 * PEM texts: whoever calls this decides where they are kept. Whoever holds an authority's key can be
 * any service; it is needed only to issue.
 */
import "reflect-metadata"; // what @peculiar/x509 stands on; before it

import { createPrivateKey, generateKeyPair, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import { AsnConvert } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  Certificate,
  Extension,
  Extensions,
  Name,
  RelativeDistinguishedName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from "@peculiar/asn1-x509";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509Certificate,
} from "@peculiar/x509";
import { identityUri } from "../svrkit/tls/identity.ts";

const CURVE = "P-256";
const HASH = "sha256";
/** ECDSA with SHA-256 (RFC 5758). */
const SIGNATURE = new AlgorithmIdentifier({ algorithm: "1.2.840.10045.4.3.2" });
const COMMON_NAME = "2.5.4.3";
const DAY_MS = 24 * 3_600_000;
const CA_DAYS = 3_650;
/** Clocks of other machines may be a little behind. */
const BACKDATED_MS = 3_600_000;
/** A certificate that is so near its end is issued anew. */
const RENEWAL_SHARE = 1 / 3;

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

const AUTHORITY = extensionsOf([
  new BasicConstraintsExtension(true, 0, true),
  new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
]);

const HOLDER = extensionsOf([
  new BasicConstraintsExtension(false, undefined, true),
  new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
  new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
]);

/** Each has a name of its own: of two that are trusted, the name alone says which has issued a certificate. */
export async function newAuthority(): Promise<CertificateTexts> {
  const { publicKey, privateKey: key } = await newKeys();
  const subject = commonName(`tricampus authority ${randomBytes(8).toString("hex")}`);
  const signer = { name: subject, key: createPrivateKey(key) };
  const facts = { subject, publicKey, days: CA_DAYS, extensions: AUTHORITY };
  return { cert: await signedBy(signer, facts), key };
}

/** A certificate of that name by which its holder may speak for these services, at these addresses. */
export async function issueCertificate(
  authority: CertificateTexts,
  { name, services, hosts = [], days }: CertificateFacts,
): Promise<CertificateTexts> {
  const { publicKey, privateKey: key } = await newKeys();
  const extensions = holderOf(services, hosts);
  const facts = { subject: commonName(name), publicKey, days, extensions };
  return { cert: await signedBy(signerOf(authority), facts), key };
}

/** By what they name: all data centres have the same few services. */
const HOLDERS_MAX = 100;
const holders = new Map<string, readonly Extension[]>();

function holderOf(services: readonly string[], hosts: readonly string[]): readonly Extension[] {
  const key = JSON.stringify([services, hosts]);
  let holder = holders.get(key);
  if (holder === undefined) {
    const uris = services.map((service) => ({ type: "url" as const, value: identityUri(service) }));
    const places = hosts.map((value) => ({ type: isIP(value) ? "ip" : "dns", value }) as const);
    const names = new SubjectAlternativeNameExtension([...uris, ...places]);
    holder = [...HOLDER, ...extensionsOf([names])];
    if (holders.size >= HOLDERS_MAX) holders.clear();
    holders.set(key, holder);
  }
  return holder;
}

interface Signer {
  readonly name: Name;
  readonly key: KeyObject;
}

interface ToBeSigned {
  readonly subject: Name;
  /** Its DER. */
  readonly publicKey: Buffer;
  readonly days: number;
  readonly extensions: readonly Extension[];
}

const signature = promisify(sign);

/**
 * The library's own generator would take each part apart and put it together again, and then the whole of it: two and
 * a half times the work. Its Certificate would write what was signed a second time.
 */
async function signedBy(signer: Signer, facts: ToBeSigned): Promise<string> {
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: bufferOf(serialNumber()),
    signature: SIGNATURE,
    issuer: signer.name,
    validity: new Validity(validFor(facts.days)),
    subject: facts.subject,
    subjectPublicKeyInfo: AsnConvert.parse(facts.publicKey, SubjectPublicKeyInfo),
    extensions: new Extensions([...facts.extensions]),
  });
  const toBeSigned = Buffer.from(AsnConvert.serialize(tbsCertificate));
  const signed = await signature(HASH, toBeSigned, signer.key);
  const bits = derOf(DER_BIT_STRING, [NO_UNUSED_BITS, signed]);
  const der = derOf(DER_SEQUENCE, [toBeSigned, SIGNATURE_DER, bits]);
  return `${PemConverter.encode(der, PemConverter.CertificateTag)}\n`;
}

const DER_BIT_STRING = 0x03;
const DER_SEQUENCE = 0x30;
const NO_UNUSED_BITS = Buffer.of(0);
const SIGNATURE_DER = Buffer.from(AsnConvert.serialize(SIGNATURE));

/** Its tag, its length in the fewest bytes, its parts. */
function derOf(tag: number, parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const hex = body.length.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
  const length = body.length < 0x80 ? bytes : Buffer.of(0x80 | bytes.length, ...bytes);
  return Buffer.concat([Buffer.of(tag), length, body]);
}

/** Reading an authority costs as much as issuing; one who issues many certificates does it once. */
const signers = new WeakMap<CertificateTexts, Signer>();

function signerOf(authority: CertificateTexts): Signer {
  let signer = signers.get(authority);
  if (signer === undefined) {
    const { rawData } = new X509Certificate(authority.cert);
    const { subject } = AsnConvert.parse(rawData, Certificate).tbsCertificate;
    const key = createPrivateKey(authority.key);
    if (key.asymmetricKeyType !== "ec") {
      throw new Error(
        `the authority's key is of type ${key.asymmetricKeyType}; certificates are signed with EC keys: replace it`,
      );
    }
    signer = { name: subject, key };
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

const keyPair = promisify(generateKeyPair);

function newKeys() {
  return keyPair("ec", {
    namedCurve: CURVE,
    publicKeyEncoding: { type: "spki", format: "der" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
}

function commonName(text: string): Name {
  const value = new AttributeValue({ utf8String: text });
  return new Name([
    new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })]),
  ]);
}

function extensionsOf(made: readonly { readonly rawData: ArrayBuffer }[]): Extension[] {
  return made.map(({ rawData }) => AsnConvert.parse(rawData, Extension));
}

function bufferOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

function validFor(days: number): { notBefore: Date; notAfter: Date } {
  const nowMs = Date.now();
  return { notBefore: new Date(nowMs - BACKDATED_MS), notAfter: new Date(nowMs + days * DAY_MS) };
}

/** 16 random bytes, positive, without a leading zero. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes;
}
