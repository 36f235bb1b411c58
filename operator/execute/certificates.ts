/**
 * The data centre's own certificate authority and what it has issued: two Secrets, one that nobody
 * mounts and one of which each pod gets its own entries. Read when an operator begins to act and now
 * and then; what is missing or nears its end is issued, and pods take it without a restart.
 *
 * An authority whose Secret is lost can issue nothing more, and what it has issued goes on being shown. So the next
 * one is added to those that are trusted, and issues nothing before every pod has heard of it; one that has issued
 * nothing of what there is any more goes with a later renewal.
 */
import { X509Certificate } from "node:crypto";
import type { CertificateTexts } from "../../services/platform/certificates.ts";
import { servicesOf } from "../../services/svrkit/tls/identity.ts";
import { ApiError, type Requests } from "../kube/api-client.ts";
import { apiVersionOf, pathOf } from "../kube/api-paths.ts";
import { labelsOf, nameOf, TLS_FILE, tlsName } from "../manifests/site.ts";
import { AUTHORITY_HEARD_MS, type Certificate } from "../plan/observed.ts";

const DAYS = 90;

interface CertificateParts {
  readonly client: Requests;
  readonly namespace: string;
}

/** What was issued, and the operator's own, to speak with. */
export interface Issued {
  readonly certificates: ReadonlyMap<string, Certificate>;
  readonly own: (CertificateTexts & { readonly ca: string }) | undefined;
  /** When the authority that issues next was added to others, milliseconds since 1970; 0: it was the first. */
  readonly authoritySinceMs: number;
}

/** Beside what pods get. */
const SINCE = "authority-since";

const OPERATOR_CERTIFICATE = "operator";

type Data = Record<string, string>;

export async function readIssued(parts: CertificateParts, dataCenter: string): Promise<Issued> {
  const data = (await readSecret(parts, tlsName({ name: dataCenter }))) ?? {};
  const names = Object.keys(data).flatMap((key) =>
    key.endsWith(".key") ? [key.slice(0, -4)] : [],
  );
  const authorities = authoritiesIn(data);
  const certificates = names.flatMap((name): [string, Certificate][] => {
    const certificate = certificateIn(data, name, authorities);
    return certificate === undefined ? [] : [[name, certificate]];
  });
  const [ca, cert, key] = [
    data[TLS_FILE.ca],
    data[TLS_FILE.cert(OPERATOR_CERTIFICATE)],
    data[TLS_FILE.key(OPERATOR_CERTIFICATE)],
  ];
  const isWhole = ca !== undefined && cert !== undefined && key !== undefined;
  return {
    certificates: new Map(certificates),
    own: isWhole ? { ca, cert, key } : undefined,
    authoritySinceMs: sinceIn(data),
  };
}

const sinceIn = (data: Data) => Date.parse(data[SINCE] ?? "") || 0;

/** undefined: it is none, or nobody believes it; it is issued anew like one that is missing. */
function certificateIn(
  data: Data,
  name: string,
  authorities: readonly X509Certificate[],
): Certificate | undefined {
  const certificate = parsed(data[TLS_FILE.cert(name)]);
  if (certificate === undefined) return undefined;
  if (!authorities.some((authority) => hasIssued(authority, certificate))) return undefined;
  const [fromMs, toMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  return {
    services: [...servicesOf(certificate)].toSorted(),
    renewAtMs: toMs - (toMs - fromMs) / 3,
    oldAtMs: toMs - (toMs - fromMs) / 4,
    endsAtMs: toMs,
  };
}

function parsed(pem = ""): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

function hasIssued(authority: X509Certificate, certificate: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

const PEM_BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** All that are trusted; what is none is left out. */
function authoritiesIn(data: Data): X509Certificate[] {
  const blocks = data[TLS_FILE.ca]?.match(PEM_BLOCK) ?? [];
  return blocks.flatMap((block) => parsed(block) ?? []);
}

/** `wanted`: the services of each certificate, by its name. `atMs`: now, milliseconds since 1970. */
export async function issueCertificates(
  parts: CertificateParts,
  dataCenter: string,
  { wanted, atMs }: { wanted: ReadonlyMap<string, readonly string[]>; atMs: number },
): Promise<void> {
  // Loaded here: an operator that issues nothing needs none of it.
  const { issueCertificate } = await import("../../services/platform/certificates.ts");
  const secret = tlsName({ name: dataCenter });
  const issued = (await readSecret(parts, secret)) ?? {};
  // As the plan has it, which may not have seen yet what was written when the answer was lost.
  if (atMs < sinceIn(issued) + AUTHORITY_HEARD_MS) return;
  const authority = await openAuthority(parts, dataCenter);
  const own = new X509Certificate(authority.cert);
  const trusted = authoritiesIn(issued);
  const others = trusted.filter(({ raw }) => !raw.equals(own.raw));
  if (others.length > 0 && others.length === trusted.length) {
    const told = { [TLS_FILE.ca]: trustText(own, others), [SINCE]: new Date(atMs).toISOString() };
    await addToSecret(parts, secret, { dataCenter, data: told });
    return; // issued when pods have taken it: the plan asks again
  }
  // Also of workloads that are no more, until their time is over.
  const shown = Object.entries(issued)
    .flatMap(([key, text]) => (key.endsWith(".crt") ? (parsed(text) ?? []) : []))
    .filter(({ validTo }) => Date.parse(validTo) > atMs);
  const needed = others.filter((other) => shown.some((one) => hasIssued(other, one)));
  const data: Data = { [TLS_FILE.ca]: trustText(own, needed) };
  for (const [name, services] of wanted) {
    const { cert, key } = await issueCertificate(authority, { name, services, days: DAYS });
    data[TLS_FILE.cert(name)] = cert;
    data[TLS_FILE.key(name)] = key;
  }
  await addToSecret(parts, secret, { dataCenter, data });
}

function trustText(own: X509Certificate, others: readonly X509Certificate[]): string {
  return [own, ...others].map(String).join("");
}

async function openAuthority(
  parts: CertificateParts,
  dataCenter: string,
): Promise<CertificateTexts> {
  const name = nameOf({ name: dataCenter }, "authority");
  const known = await readSecret(parts, name);
  if (known?.["ca.crt"] !== undefined && known["ca.key"] !== undefined) {
    return { cert: known["ca.crt"], key: known["ca.key"] };
  }
  const { newAuthority } = await import("../../services/platform/certificates.ts");
  const { cert, key } = await newAuthority();
  await addToSecret(parts, name, { dataCenter, data: { "ca.crt": cert, "ca.key": key } });
  return { cert, key };
}

async function readSecret(parts: CertificateParts, name: string): Promise<Data | undefined> {
  const { client, namespace } = parts;
  try {
    const path = pathOf("Secret", namespace, name);
    const { data } = await client.request<{ data?: Data }>({ method: "GET", path });
    const entries = Object.entries(data ?? {});
    return Object.fromEntries(
      entries.map(([key, text]) => [key, Buffer.from(text, "base64").toString("utf8")]),
    );
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return undefined;
    throw error;
  }
}

/** Entries that are not named stay as they are; the Secret is made when it is not there. */
async function addToSecret(
  { client, namespace }: CertificateParts,
  name: string,
  { dataCenter, data }: { dataCenter: string; data: Data },
): Promise<void> {
  const encoded = Object.fromEntries(
    Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString("base64")]),
  );
  const path = pathOf("Secret", namespace, name);
  try {
    const contentType = "application/merge-patch+json";
    await client.carryOut({ method: "PATCH", path, contentType, body: { data: encoded } });
  } catch (error) {
    if (!(error instanceof ApiError && error.isNotFound)) throw error;
    const metadata = { name, labels: labelsOf({ name: dataCenter }) };
    const secret = { apiVersion: apiVersionOf("Secret"), kind: "Secret", type: "Opaque" };
    const body = { ...secret, metadata, data: encoded };
    await client.carryOut({ method: "POST", path: pathOf("Secret", namespace), body });
  }
}

/** What somebody changed or took away is noticed after so long; listing or watching Secrets would show all of them. */
export const READ_ISSUED_EVERY_MS = 5 * 60_000;
