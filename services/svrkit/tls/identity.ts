/**
 * Which services a certificate proves its holder to be. Each is a URI among the certificate's subject
 * alternative names, in SPIFFE's form:
 *
 *   spiffe://tricampus/text      spiffe://tricampus/control
 *
 * A process that holds several services has one certificate that names all of them. Host names and
 * addresses in a certificate mean nothing here: processes move, services stay.
 */
import type { X509Certificate } from "node:crypto";

const PREFIX = "spiffe://tricampus/";
const SERVICE = /^[a-z0-9-]{1,64}$/;

/** The identity under which every process reads the control table, beside its services' own. */
export const CONTROL_IDENTITY = "control";
/** The identity under which a campus's monitor agent reports. */
export const AGENT_IDENTITY = "agent";

export function identityUri(service: string): string {
  if (!SERVICE.test(service)) throw new Error(`"${service}" cannot be a service in a certificate`);
  return PREFIX + service;
}

/** Empty when the certificate names no service of ours. */
export function servicesOf(certificate: Pick<X509Certificate, "subjectAltName">): Set<string> {
  const names = certificate.subjectAltName?.split(", ") ?? [];
  const uris = names.filter((name) => name.startsWith(`URI:${PREFIX}`));
  const services = uris.map((name) => name.slice(4 + PREFIX.length));
  return new Set(services.filter((service) => SERVICE.test(service)));
}
