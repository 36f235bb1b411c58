import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { servicesOf } from "../svrkit/tls/identity.ts";
import { isFresh, issueCertificate, newAuthority } from "./certificates.ts";
import { itemsIn } from "./der.ts";

const DAY_MS = 24 * 3_600_000;

test("certificates: an authority is one, and issues what names services and places", async () => {
  const authority = await newAuthority();
  const root = new X509Certificate(authority.cert);
  expect([root.ca, root.subject, root.checkIssued(root)]).toEqual([
    true,
    "CN=tricampus authority",
    true,
  ]);
  const services = ["text", "queuelog-2"];
  const hosts = ["chat.example", "192.0.2.7", "2001:db8::17", "::", "::ffff:192.0.2.8"];
  const { cert, key } = await issueCertificate(authority, { name: "é", services, hosts, days: 2 });
  const certificate = new X509Certificate(cert);
  expect(certificate.verify(root.publicKey)).toBe(true);
  expect([certificate.ca, certificate.subject]).toEqual([false, "CN=é"]);
  expect([...servicesOf(certificate)]).toEqual(services);
  expect(certificate.checkHost("chat.example")).toBe("chat.example");
  for (const host of hosts.slice(1)) expect(certificate.checkIP(host), host).toBe(host);
  expect(certificate.checkIP("2001:db8::18")).toBeUndefined();
  expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  const lifeMs = Date.parse(certificate.validTo) - Date.now();
  expect(Math.abs(lifeMs - 2 * DAY_MS)).toBeLessThan(10_000);
});

test("certificates: fresh is what names just these services and is in the first two thirds of its life", async () => {
  const authority = await newAuthority();
  const facts = { name: "x", services: ["text", "fanout"], days: 3 };
  const { cert } = await issueCertificate(authority, facts);
  expect(isFresh(cert, ["fanout", "text"])).toBe(true);
  expect(isFresh(cert, ["text"])).toBe(false);
  expect(isFresh(cert, ["text", "fanout", "queue"])).toBe(false);
  expect(isFresh(cert, facts.services, Date.now() + 2.1 * DAY_MS)).toBe(false);
});

/** Of an earlier version, which wrote names as PrintableString. */
const EARLIER = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBYDCCAQagAwIBAgIQbZiIXrZO+TOPccWAY8o/9jAKBggqhkjOPQQDAjAeMRww
GgYDVQQDExN0cmljYW1wdXMgYXV0aG9yaXR5MB4XDTI2MTEyNzIzNDYzN1oXDTM2
MTEyNTAwNDYzN1owHjEcMBoGA1UEAxMTdHJpY2FtcHVzIGF1dGhvcml0eTBZMBMG
ByqGSM49AgEGCCqGSM49AwEHA0IABNY5rC7UXgjVD2MRTTIQWOAnriUCRxat4K60
a0K4IrYENTD2ZvrmaUcyGsUwRAhAi+steSiuvQi0B/G8BfZawUqjJjAkMBIGA1Ud
EwEB/wQIMAYBAf8CAQAwDgYDVR0PAQH/BAQDAgEGMAoGCCqGSM49BAMCA0gAMEUC
IQCcRKnT+Lrs9k5Rwdjze03qEWncg7Mr3mennJKx1QbpdgIgSQOZgZgGcrhUbxdV
LeP7VY4Sa7lfUkyVS7CcQYQaky8=
-----END CERTIFICATE-----
`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgKEctC0qgY+xCXf3c
dIXW7h8ESPk4krlydhTCI0xXYCWhRANCAATWOawu1F4I1Q9jEU0yEFjgJ64lAkcW
reCutGtCuCK2BDUw9mb65mlHMhrFMEQIQIvrLXkorr0ItAfxvAX2WsFK
-----END PRIVATE KEY-----
`,
};

test("certificates: an authority of an earlier version issues under its name as it is written", async () => {
  const root = new X509Certificate(EARLIER.cert);
  const facts = { name: "text", services: ["text"], days: 1 };
  const certificate = new X509Certificate((await issueCertificate(EARLIER, facts)).cert);
  expect([certificate.checkIssued(root), certificate.verify(root.publicKey)]).toEqual([true, true]);
  const [issuer, subject] = [
    itemsIn(itemsIn(certificate.raw)[0]!)[3]!,
    itemsIn(itemsIn(root.raw)[0]!)[5]!,
  ];
  expect(issuer).toEqual(subject);
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  await expect(issueCertificate({ ...EARLIER, key }, facts)).rejects.toThrow(/no ECDSA key/);
});
