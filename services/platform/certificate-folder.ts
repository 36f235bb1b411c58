/** An authority in a folder, and the certificates it issued beside it: for one machine, and for people. */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TlsFiles } from "../svrkit/tls/credentials.ts";
import { type CertificateTexts, isFresh, issueCertificate, newAuthority } from "./certificates.ts";

export class CertificateAuthority {
  readonly #dir: string;
  readonly #texts: CertificateTexts;

  private constructor(dir: string, texts: CertificateTexts) {
    this.#dir = dir;
    this.#texts = texts;
  }

  /** The authority of a folder; made when the folder has none. */
  static async open(dir: string): Promise<CertificateAuthority> {
    const certFile = join(dir, "ca.pem");
    const keyFile = join(dir, "ca-key.pem");
    if (!existsSync(certFile)) {
      mkdirSync(dir, { recursive: true, mode: 0o700 });
      chmodSync(dir, 0o700);
      const { cert, key } = await newAuthority();
      // The certificate last: an authority is there when it is whole.
      write(keyFile, key);
      write(certFile, cert);
    }
    const texts = { cert: readFileSync(certFile, "utf8"), key: readFileSync(keyFile, "utf8") };
    return new CertificateAuthority(dir, texts);
  }

  /**
   * Files with a certificate of that name for these services, in the authority's folder. One that is
   * there already, names the same services and is not near its end stays.
   */
  async issue(name: string, services: readonly string[], days: number): Promise<TlsFiles> {
    const files = {
      caFile: join(this.#dir, "ca.pem"),
      certFile: join(this.#dir, `${name}.pem`),
      keyFile: join(this.#dir, `${name}-key.pem`),
    };
    const isThere = existsSync(files.certFile);
    if (isThere && isFresh(readFileSync(files.certFile, "utf8"), services)) return files;
    const { cert, key } = await issueCertificate(this.#texts, { name, services, days });
    write(files.keyFile, key);
    write(files.certFile, cert);
    return files;
  }
}

function write(path: string, pem: string): void {
  const temporary = `${path}.${process.pid}.new`;
  writeFileSync(temporary, pem, { mode: 0o600 });
  renameSync(temporary, path);
}
