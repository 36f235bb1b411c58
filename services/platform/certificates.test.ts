import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer } from "node:tls";
import { expect, test } from "vitest";
import { servicesOf } from "../svrkit/tls/identity.ts";
import { isFresh, issueCertificate, newAuthority } from "./certificates.ts";

const DAY_MS = 24 * 3_600_000;

test("certificates: an authority is one, and issues what names services and places", async () => {
  const authority = await newAuthority();
  const root = new X509Certificate(authority.cert);
  expect([root.ca, root.subject, root.checkIssued(root)]).toEqual([
    true,
    expect.stringMatching(/^CN=tricampus authority [0-9a-f]{16}$/),
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

test("certificates: who trusts two authorities believes what either has issued, at both ends", async () => {
  const authorities = [await newAuthority(), await newAuthority()];
  for (const bundle of [authorities, authorities.toReversed()]) {
    const ca = bundle.map(({ cert }) => cert).join("");
    const facts = { name: "x", services: ["text"], days: 1 };
    const [mine, theirs] = [
      await issueCertificate(authorities[0]!, facts),
      await issueCertificate(authorities[1]!, facts),
    ];
    const server = createServer({ ...mine, ca, requestCert: true, rejectUnauthorized: true });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const accepted = once(server, "secureConnection");
    const checkServerIdentity = () => undefined;
    const socket = connect({ port, host: "127.0.0.1", ...theirs, ca, checkServerIdentity });
    await once(socket, "secureConnect");
    await accepted;
    expect(socket.authorized).toBe(true);
    socket.destroy();
    server.close();
  }
});
