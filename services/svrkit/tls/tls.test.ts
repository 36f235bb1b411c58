/** Who gets in with which certificate, over real sockets, and certificates that change meanwhile. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { Echo } from "../../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import { CertificateAuthority } from "../../platform/certificate-folder.ts";
import { Client, type ServiceAddress } from "../client.ts";
import { silentLogger } from "../log.ts";
import { readTrouble } from "../monitors/trouble.ts";
import { Server } from "../server.ts";
import { dial, listen } from "../transport/tcp.ts";
import { Credentials, type TlsFiles } from "./credentials.ts";

const dir = mkdtempSync(join(tmpdir(), "tricampus-tls-"));
let ours: CertificateAuthority;
let theirs: CertificateAuthority;
const cleanUps: (() => unknown)[] = [];

beforeAll(async () => {
  ours = await CertificateAuthority.open(join(dir, "ours"));
  theirs = await CertificateAuthority.open(join(dir, "theirs"));
});
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const credentialsOf = (files: TlsFiles) => new Credentials(files, silentLogger());

async function serveEcho(files: TlsFiles): Promise<ServiceAddress & { credentials: Credentials }> {
  const credentials = credentialsOf(files);
  const server = new Server({ process: "a/echo", campus: "a" }, silentLogger(), {
    security: { credentials },
    allowed: () => new Set(["text"]),
  });
  server.add(Echo.echo, (request) => request);
  const port = await server.listen({ host: "127.0.0.1", port: 0 });
  cleanUps.push(
    () => credentials.stop(),
    () => server.stop(),
  );
  return { campus: "a", host: "127.0.0.1", port, credentials };
}

async function echo(
  address: ServiceAddress,
  files: TlsFiles | undefined,
  caller = "text",
  timeoutMs = 10_000,
): Promise<string> {
  const credentials = files && credentialsOf(files);
  const client = new Client({ process: "test", campus: "b" }, undefined, { credentials });
  try {
    const callee = client.callee("echo", [address], { caller });
    const request = { payload: Buffer.from("hello") };
    const reply = await callee.call(Echo.echo, request, { timeoutMs });
    return Buffer.from(reply.payload).toString();
  } finally {
    client.stop();
  }
}

/** By a server that refuses a handshake, with or without what was sent meanwhile; nobody listening is ECONNREFUSED. */
const CLOSED = /closed by the other side|ECONNRESET/;
/** Authorities of different names, or of one. */
const UNTRUSTED = /self-signed certificate in certificate chain|certificate signature failure/;

/** Callers try again until their time is over: on a busy machine there may be no handshake in it yet. */
async function refused(address: ServiceAddress, files: TlsFiles | undefined, why: RegExp) {
  let outcome = "";
  for (let timeoutMs = 600; timeoutMs < 10_000 && !why.test(outcome); timeoutMs *= 2) {
    outcome = await echo(address, files, "text", timeoutMs).catch(
      ({ code, message }) => `${code}: ${message}`,
    );
    expect(outcome).toMatch(/^UNAVAILABLE: /);
  }
  expect(outcome).toMatch(why);
}

test("tls: a service with a certificate of the same authority is served, under the names in it alone", async () => {
  const address = await serveEcho(await ours.issue("echo", ["echo"], 1));
  const both = await ours.issue("logic", ["text", "group"], 1);
  expect(await echo(address, both)).toBe("hello");
  await expect(echo(address, both, "group")).rejects.toMatchObject({
    code: "PERMISSION_DENIED",
    message: expect.stringContaining('"group" may not call tricampus.svrkit.v1.Echo/Echo'),
  });
  await expect(echo(address, both, "sync")).rejects.toMatchObject({
    code: "PERMISSION_DENIED",
    message: expect.stringContaining('as "sync" whose certificate names text, group'),
  });
});

test("tls: without a certificate, with a stranger's, or in plain nobody gets in", async () => {
  const address = await serveEcho(await ours.issue("echo", ["echo"], 1));
  const text = await ours.issue("text", ["text"], 1);
  const stranger = await theirs.issue("text", ["text"], 1);
  // Trusts the server, and shows a certificate that the server does not trust.
  const posing = { ...stranger, caFile: text.caFile };
  await refused(address, undefined, CLOSED);
  await refused(address, stranger, UNTRUSTED);
  await refused(address, posing, CLOSED);
  const bare = connectTls({ host: address.host, port: address.port, rejectUnauthorized: false });
  await new Promise<void>((resolve) => {
    bare.on("error", () => {});
    bare.on("close", () => resolve());
    bare.resume();
  });
  const old = connectTls({
    host: address.host,
    port: address.port,
    secureContext: credentialsOf(text).context,
    maxVersion: "TLSv1.2",
    minVersion: "TLSv1.2",
  });
  await expect(
    new Promise((resolve, reject) => old.on("error", reject).on("secureConnect", resolve)),
  ).rejects.toThrow();
});

test("tls: a server that cannot prove to be the service is not called", async () => {
  const address = await serveEcho(await ours.issue("router", ["router"], 1));
  const text = await ours.issue("text", ["text"], 1);
  await refused(address, text, /its certificate names router, and not echo/);
});

test("tls: certificates are read again when they change, and broken ones change nothing", async () => {
  const files = {
    caFile: join(dir, "ca.pem"),
    certFile: join(dir, "echo.pem"),
    keyFile: join(dir, "echo-key.pem"),
  };
  const put = (from: TlsFiles) => {
    for (const name of ["caFile", "certFile", "keyFile"] as const) cpSync(from[name], files[name]);
  };
  put(await ours.issue("echo", ["echo"], 1));
  const address = await serveEcho(files);
  address.credentials.watch(20);
  const text = await ours.issue("text", ["text"], 1);
  writeFileSync(files.keyFile, "not a key");
  await expect.poll(readTrouble).toContain("stays in force");
  expect(await echo(address, text)).toBe("hello");
  put(await theirs.issue("echo", ["echo"], 1));
  const stranger = await theirs.issue("text", ["text"], 1);
  await expect.poll(() => echo(address, stranger)).toBe("hello");
  await refused(address, text, UNTRUSTED);
  expect(readTrouble()).toBe("");
});

test("tls: a certificate that nobody would believe does not replace one that is good", async () => {
  const from = async (authority: CertificateAuthority, name: string, services: string[]) => {
    const { caFile, certFile, keyFile } = await authority.issue(name, services, 1);
    return Object.fromEntries(
      Object.entries({ caFile, certFile, keyFile }).map(([file, path]) => [
        file,
        readFileSync(path, "utf8"),
      ]),
    ) as unknown as TlsFiles;
  };
  const files = {
    caFile: join(dir, "kept-ca.pem"),
    certFile: join(dir, "kept.pem"),
    keyFile: join(dir, "kept-key.pem"),
  };
  const put = (texts: TlsFiles) => {
    for (const name of ["caFile", "keyFile", "certFile"] as const)
      writeFileSync(files[name], texts[name]);
  };
  const good = await from(ours, "kept", ["echo", "text"]);
  const stranger = await from(theirs, "kept", ["echo", "text"]);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3 * 86_400_000 });
  const future = await from(ours, "kept-later", ["echo", "text"]);
  vi.useRealTimers();
  const wrong: [texts: TlsFiles, why: RegExp][] = [
    [{ ...stranger, caFile: good.caFile }, /kept\.pem was issued by no authority in .*kept-ca/],
    [await from(ours, "less", ["echo"]), /kept\.pem does not name text, which this process is/],
    [future, /kept\.pem is valid only from 20/],
  ];
  // At the start there is nothing better: it is taken, and said.
  put({ ...stranger, caFile: good.caFile });
  const posing = credentialsOf(files);
  posing.watch(20);
  await expect
    .poll(readTrouble)
    .toMatch(/^tls: .*kept\.pem was issued by no authority in .*kept-ca/);
  // So is its renewal: who believes the one believes the other.
  const renewed = await from(theirs, "kept-renewed", ["echo", "text"]);
  put({ ...renewed, caFile: good.caFile });
  await expect.poll(() => posing.material.cert).toBe(renewed.certFile);
  expect(readTrouble()).toMatch(/kept\.pem was issued by no authority/);
  posing.stop();
  put(good);
  const credentials = credentialsOf(files);
  cleanUps.push(() => credentials.stop());
  credentials.watch(20);
  for (const [texts, why] of wrong) {
    put(texts);
    await expect.poll(readTrouble).toMatch(why);
    expect(credentials.material.cert).toBe(good.certFile);
  }
  const next = await from(ours, "next", ["echo", "text", "group"]);
  // Through another certificate of the file, too, and while one authority follows another.
  put({
    ...next,
    certFile: next.certFile + stranger.certFile,
    caFile: stranger.caFile + next.caFile,
  });
  await expect.poll(readTrouble).toBe("");
  expect(credentials.material.key).toBe(next.keyFile);
});

test("tls: what cannot be used is refused at the start, by the name of the file", async () => {
  const files = await ours.issue("one", ["echo"], 1);
  const other = await ours.issue("other", ["echo"], 1);
  const wrong = (change: Partial<TlsFiles>) => () => credentialsOf({ ...files, ...change });
  expect(wrong({ keyFile: other.keyFile })).toThrow("is not the key of the certificate");
  expect(wrong({ certFile: files.keyFile })).toThrow(files.keyFile);
  expect(wrong({ certFile: files.caFile, keyFile: join(dir, "ours/ca-key.pem") })).toThrow(
    "names no service",
  );
  expect(wrong({ caFile: "/nowhere" })).toThrow("/nowhere");
});

test("tls: plain connections beyond loopback have to be asked for by name", async () => {
  const everywhere = { host: "0.0.0.0", port: 0 };
  await expect(listen(everywhere, () => {})).rejects.toThrow("plaintext by name");
  await expect(dial({ host: "192.0.2.1", port: 1 }, 10)).rejects.toThrow("plaintext by name");
  const server = await listen(everywhere, () => {}, { plaintext: true });
  server.close();
});
