/**
 * Certificates that name services (svrkit/tls/identity.ts), and the authorities that issue them, as
 * PEM texts: whoever calls this decides where they are kept. Whoever holds an authority's key can be
 * any service; it is needed only to issue.
 */
import {
  createPrivateKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
  sign,
  X509Certificate,
} from "node:crypto";
import { isIP, isIPv4 } from "node:net";
import { promisify } from "node:util";
import { identityUri } from "../svrkit/tls/identity.ts";
import {
  bits,
  integer,
  itemsIn,
  objectId,
  octets,
  sequence,
  set,
  tagged,
  time,
  utf8,
  yes,
} from "./der.ts";

const CURVE = "prime256v1";
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

export async function newAuthority(): Promise<CertificateTexts> {
  const { publicKey, privateKey } = await newKeys();
  const name = nameIn("tricampus authority");
  const extensions = [
    extension(OID.basicConstraints, sequence(yes(), integer(Buffer.from([0]))), {
      isCritical: true,
    }),
    extension(OID.keyUsage, bits(Buffer.from([USAGE.signsCertificates]), 1), { isCritical: true }),
  ];
  const facts = { issuer: name, subject: name, days: CA_DAYS, publicKey, extensions };
  return { cert: signed(facts, privateKey), key: keyPem(privateKey) };
}

/** A certificate of that name by which its holder may speak for these services, at these addresses. */
export async function issueCertificate(
  authority: CertificateTexts,
  { name, services, hosts = [], days }: CertificateFacts,
): Promise<CertificateTexts> {
  const { publicKey, privateKey } = await newKeys();
  const names = [...services.map((service) => uri(identityUri(service))), ...hosts.map(hostName)];
  const extensions = [
    extension(OID.basicConstraints, sequence(), { isCritical: true }),
    extension(OID.keyUsage, bits(Buffer.from([USAGE.signsData]), 7), { isCritical: true }),
    extension(OID.extendedKeyUsage, sequence(objectId(OID.server), objectId(OID.client))),
    extension(OID.subjectNames, sequence(...names)),
  ];
  const issuer = subjectOf(authority.cert);
  const facts = { issuer, subject: nameIn(name), days, publicKey, extensions };
  return { cert: signed(facts, signingKey(authority.key)), key: keyPem(privateKey) };
}

/** It names exactly these services and is not near its end. */
export function isFresh(cert: string, services: readonly string[], nowMs = Date.now()): boolean {
  const { subjectAltName, validFrom, validTo } = new X509Certificate(cert);
  const named = new Set(subjectAltName?.split(", "));
  const uris = services.map((service) => `URI:${identityUri(service)}`);
  if (named.size !== uris.length || !uris.every((one) => named.has(one))) return false;
  const [fromMs, toMs] = [Date.parse(validFrom), Date.parse(validTo)];
  return toMs - nowMs > RENEWAL_SHARE * (toMs - fromMs);
}

const OID = {
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
  commonName: "2.5.4.3",
  subjectNames: "2.5.29.17",
  ...{ basicConstraints: "2.5.29.19", keyUsage: "2.5.29.15", extendedKeyUsage: "2.5.29.37" },
  ...{ server: "1.3.6.1.5.5.7.3.1", client: "1.3.6.1.5.5.7.3.2" },
} as const;

/** Bits of keyUsage, the first one highest: keyCertSign and cRLSign; digitalSignature. */
const USAGE = { signsCertificates: 0b0000_0110, signsData: 0b1000_0000 } as const;

interface SignedFacts {
  /** Names as they stand in certificates. */
  readonly issuer: Buffer;
  readonly subject: Buffer;
  readonly days: number;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Buffer[];
}

/** RFC 5280, section 4.1. */
function signed(
  { issuer, subject, days, publicKey, extensions }: SignedFacts,
  key: KeyObject,
): string {
  const nowMs = Date.now();
  const algorithm = sequence(objectId(OID.ecdsaWithSha256));
  const contents = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serialNumber()),
    algorithm,
    issuer,
    sequence(time(new Date(nowMs - BACKDATED_MS)), time(new Date(nowMs + days * DAY_MS))),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    tagged(0xa3, sequence(...extensions)),
  );
  const whole = sequence(contents, algorithm, bits(sign("sha256", contents, key)));
  return pem(whole);
}

function extension(id: string, value: Buffer, { isCritical = false } = {}): Buffer {
  return sequence(objectId(id), ...(isCritical ? [yes()] : []), octets(value));
}

function nameIn(commonName: string): Buffer {
  return sequence(set(sequence(objectId(OID.commonName), utf8(commonName))));
}

const uri = (text: string) => tagged(0x86, Buffer.from(text));

function hostName(host: string): Buffer {
  return isIP(host) === 0 ? tagged(0x82, Buffer.from(host)) : tagged(0x87, addressBytes(host));
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  // URLs write an address with all of its groups in hexadecimal, but for the longest row of zeros.
  const [head = "", tail = ""] = new URL(`http://[${address}]/`).hostname.slice(1, -1).split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const [first, last] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => "0");
  const hex = [...first, ...zeros, ...last].map((group) => group.padStart(4, "0"));
  return Buffer.from(hex.join(""), "hex");
}

/** As it is written in the certificate: its subject's name is the sixth of what is signed. */
function subjectOf(cert: string): Buffer {
  const [contents] = itemsIn(new X509Certificate(cert).raw);
  return itemsIn(contents!)[5]!;
}

function signingKey(text: string): KeyObject {
  const key = createPrivateKey(text);
  if (key.asymmetricKeyDetails?.namedCurve !== CURVE)
    throw new Error(`the authority's key is no ECDSA key on ${CURVE}: it cannot issue`);
  return key;
}

const newPair = promisify(generateKeyPair);

function newKeys(): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> {
  return newPair("ec", { namedCurve: CURVE });
}

function keyPem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }) as string;
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString("base64").match(/.{1,64}/g)!;
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`;
}

/** 16 random bytes, positive, without a leading zero. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return bytes;
}
