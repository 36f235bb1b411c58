/**
 * Certificate, key and the authorities that are trusted, out of three PEM files, read again when they
 * change: a renewed certificate serves new connections without a restart, open ones go on with the one
 * they began with. Files that contradict each other (a renewal that is half written, a key that is not
 * the certificate's, another authority's, another process's) are not taken; what was valid before stays in
 * force and the process says so.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContext } from "node:tls";
import { signatureOfFiles, Watched } from "../config/watched.ts";
import type { Logger } from "../log.ts";
import { servicesOf } from "./identity.ts";

export interface TlsFiles {
  /** Authorities whose certificates are believed; several while one follows another. */
  readonly caFile: string;
  /** This process's certificate, and what lies between it and the authority. */
  readonly certFile: string;
  readonly keyFile: string;
}

/** PEM texts: the authorities, the certificate, its key. */
interface Material {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

interface Loaded extends Material {
  readonly context: SecureContext;
  readonly services: ReadonlySet<string>;
  readonly validFromMs: number;
  readonly validToMs: number;
}

/** With less than this share of its life left a certificate should have been renewed. */
const RENEWAL_SHARE = 0.1;

export class Credentials {
  readonly #texts: Loaded | undefined;
  /** undefined: they were given as texts, which never change. */
  readonly #watched: Watched<Loaded> | undefined;

  /** Throws an error that names the file when they cannot be used. */
  constructor(files: TlsFiles | Material, log?: Logger) {
    if ("ca" in files) {
      this.#texts = loadTexts(files, TEXTS, Date.now());
      return;
    }
    const source = {
      name: "tls",
      load: () => this.#load(files),
      signature: () => signatureOfFiles([files.caFile, files.certFile, files.keyFile]),
      trouble: (loaded: Loaded) => ageing(files, loaded, Date.now()) ?? stranger(files, loaded),
    };
    this.#watched = new Watched(source, log);
  }

  #load(files: TlsFiles): Loaded {
    const loaded = load(files, Date.now());
    const before = this.#watched?.value;
    if (before !== undefined) requireSuccessor(before, loaded, files);
    return loaded;
  }

  get #loaded(): Loaded {
    return (this.#watched?.value ?? this.#texts)!;
  }

  /** What this process proves to be. */
  get services(): ReadonlySet<string> {
    return this.#loaded.services;
  }

  get context(): SecureContext {
    return this.#loaded.context;
  }

  get material(): Material {
    return this.#loaded;
  }

  /** Looks at the files from now on; the timer keeps no process alive. */
  watch(lookEveryMs?: number): void {
    this.#watched?.watch(lookEveryMs);
  }

  stop(): void {
    this.#watched?.stop();
  }

  /** `changed` is called with what each renewal brought; returns what ends that. */
  onChange(changed: (material: Material) => void): () => void {
    return this.#watched?.onChange(changed) ?? (() => {});
  }
}

function ageing(
  { certFile }: TlsFiles,
  { validFromMs, validToMs }: Loaded,
  nowMs: number,
): string | undefined {
  if (validToMs - nowMs > RENEWAL_SHARE * (validToMs - validFromMs)) return undefined;
  const until = new Date(validToMs).toISOString();
  return `${certFile} is valid until ${until} and was not renewed`;
}

function load(files: TlsFiles, nowMs: number): Loaded {
  const { caFile, certFile, keyFile } = files;
  const material = { ca: read(caFile), cert: read(certFile), key: read(keyFile) };
  return loadTexts(material, files, nowMs);
}

/** What texts that came from no file are called. */
const TEXTS: TlsFiles = {
  caFile: "the authority",
  certFile: "the certificate",
  keyFile: "the key",
};

/** `files`: what to call the texts in an error. */
function loadTexts(material: Material, files: TlsFiles, nowMs: number): Loaded {
  const { caFile, certFile, keyFile } = files;
  const certificate = inFile(certFile, () => new X509Certificate(material.cert));
  const key = inFile(keyFile, () => createPrivateKey(material.key));
  inFile(caFile, () => new X509Certificate(material.ca));
  if (!certificate.checkPrivateKey(key))
    throw new Error(`${keyFile} is not the key of the certificate in ${certFile}`);
  const services = servicesOf(certificate);
  if (services.size === 0)
    throw new Error(`${certFile} names no service: it needs a URI like spiffe://tricampus/text`);
  const validFromMs = Date.parse(certificate.validFrom);
  const validToMs = Date.parse(certificate.validTo);
  if (nowMs < validFromMs)
    throw new Error(`${certFile} is valid only from ${new Date(validFromMs).toISOString()} on`);
  if (nowMs >= validToMs)
    throw new Error(`${certFile} was valid until ${new Date(validToMs).toISOString()}: renew it`);
  const context = inFile(certFile, () =>
    createSecureContext({ ...material, minVersion: "TLSv1.3" }),
  );
  return { ...material, context, services, validFromMs, validToMs };
}

/** What would leave a process that works now with a certificate that nobody believes is not taken. */
function requireSuccessor(before: Loaded, loaded: Loaded, files: TlsFiles): void {
  const missing = [...before.services].filter((service) => !loaded.services.has(service));
  if (missing.length > 0)
    throw new Error(`${files.certFile} does not name ${missing.join(", ")}, which this process is`);
  const why = stranger(files, loaded);
  // After one that only others believe, its next one is no worse; kept, it would end some day.
  if (why !== undefined && stranger(files, before) === undefined) throw new Error(why);
}

/** A process may start so: there is nothing better, and others may believe another authority. */
function stranger(
  { caFile, certFile }: Pick<TlsFiles, "caFile" | "certFile">,
  { cert, ca }: Loaded,
): string | undefined {
  if (leadsTo(certificatesIn(cert), certificatesIn(ca))) return undefined;
  return `${certFile} was issued by no authority in ${caFile}`;
}

/** Whether the first of a chain was issued by an authority, by itself or through others of the chain. */
function leadsTo(chain: readonly X509Certificate[], authorities: readonly X509Certificate[]) {
  let at = chain[0]!;
  for (const _ of chain) {
    const issued = (by: X509Certificate) => at.checkIssued(by) && at.verify(by.publicKey);
    if (authorities.some(issued)) return true;
    const next = chain.find((other) => other !== at && issued(other));
    if (next === undefined) return false;
    at = next;
  }
  return false;
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function certificatesIn(pem: string): X509Certificate[] {
  return (pem.match(PEM) ?? []).map((text) => new X509Certificate(text));
}

function read(path: string): string {
  return inFile(path, () => readFileSync(path, "utf8"));
}

function inFile<T>(path: string, act: () => T): T {
  try {
    return act();
  } catch (error) {
    const reason = (error as Error).message;
    throw new Error(`${path} cannot be used for TLS: ${reason}`, { cause: error });
  }
}
