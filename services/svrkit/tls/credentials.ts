/**
 * Certificate, key and the authorities that are trusted, out of three PEM files, read again when they
 * change: a renewed certificate serves new connections without a restart, open ones go on with the one
 * they began with. Files that contradict each other (a renewal that is half written, a key that is not
 * the certificate's) are not taken; what was valid before stays in force and the process says so.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext, type SecureContext } from "node:tls";
import type { Logger } from "../log.ts";
import { setTrouble } from "../monitors/trouble.ts";
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

const LOOK_EVERY_MS = 2_000;
/** With less than this share of its life left a certificate should have been renewed. */
const RENEWAL_SHARE = 0.1;

export class Credentials {
  /** undefined: it was given as texts, which never change. */
  readonly #files: TlsFiles | undefined;
  readonly #log: Logger | undefined;
  readonly #listeners = new Set<() => void>();
  #loaded: Loaded;
  #signature: string;
  #timer: NodeJS.Timeout | undefined;

  /** Throws an error that names the file when they cannot be used. */
  constructor(files: TlsFiles | Material, log?: Logger) {
    this.#log = log;
    if ("ca" in files) {
      this.#signature = "";
      this.#loaded = loadTexts(files, TEXTS, Date.now());
      return;
    }
    this.#files = files;
    this.#signature = signatureOf(files);
    this.#loaded = load(files, Date.now());
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
  watch(lookEveryMs: number = LOOK_EVERY_MS): void {
    const files = this.#files;
    if (files === undefined) return;
    this.#timer ??= setInterval(() => this.#look(files, Date.now()), lookEveryMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** `changed` is called after each renewal; returns what ends that. */
  onChange(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  #look(files: TlsFiles, nowMs: number): void {
    try {
      const signature = signatureOf(files);
      if (signature !== this.#signature) {
        this.#loaded = load(files, nowMs);
        this.#signature = signature;
        this.#log?.info({ services: [...this.services] }, "the certificate was renewed");
        for (const changed of this.#listeners) changed();
      }
      setTrouble("tls", this.#ageing(files.certFile, nowMs));
    } catch (error) {
      setTrouble("tls", `the certificate before stays in force: ${(error as Error).message}`);
    }
  }

  #ageing(certFile: string, nowMs: number): string | undefined {
    const { validFromMs, validToMs } = this.#loaded;
    if (validToMs - nowMs > RENEWAL_SHARE * (validToMs - validFromMs)) return undefined;
    const until = new Date(validToMs).toISOString();
    return `${certFile} is valid until ${until} and was not renewed`;
  }
}

/** Tells a file from its successor, also when a link was pointed elsewhere. */
function signatureOf({ caFile, certFile, keyFile }: TlsFiles): string {
  return [caFile, certFile, keyFile]
    .map((path) => {
      const { ino, size, mtimeMs } = statSync(path);
      return `${ino}.${size}.${mtimeMs}`;
    })
    .join(" ");
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
  if (nowMs >= validToMs)
    throw new Error(`${certFile} was valid until ${new Date(validToMs).toISOString()}: renew it`);
  const context = inFile(certFile, () =>
    createSecureContext({ ...material, minVersion: "TLSv1.3" }),
  );
  return { ...material, context, services, validFromMs, validToMs };
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
