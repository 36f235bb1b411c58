import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { servicesOf } from "../svrkit/tls/identity.ts";
import { isFresh, issueCertificate, newAuthority } from "./certificates.ts";

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
  const hosts = ["chat.example", "192.0.2.7", "2001:db8::17"];
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
