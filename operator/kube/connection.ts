/** How to reach an API server: from inside a pod by its service account, from outside by a kubeconfig. */
import { readFileSync } from "node:fs";

export interface Connection {
  /** "https://10.96.0.1:443" */
  readonly base: string;
  /** Asked before every request: tokens are replaced while the operator runs. */
  readonly token?: () => Promise<string> | string;
  /** Requests under way at once, watches apart. */
  readonly socketsMax?: number;
  /** What is not here is as Node has it. */
  readonly tls?: TlsParts;
}

export interface TlsParts {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly rejectUnauthorized?: boolean;
}

const ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_READ_EVERY_MS = 60_000;

/** Without TLS: an API double on loopback. */
export function plainConnection(base: string, socketsMax?: number): Connection {
  return { base, ...(socketsMax !== undefined && { socketsMax }) };
}

/** The pod's own API server; throws when this is no pod. */
export function connectionInPod(env: NodeJS.ProcessEnv): Connection {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host === undefined || port === undefined) {
    throw new Error("KUBERNETES_SERVICE_HOST is not set: this is no pod; name a kubeconfig");
  }
  const ca = readFileSync(`${ACCOUNT_DIR}/ca.crt`);
  let token = "";
  let readAtMs = Number.NEGATIVE_INFINITY;
  return {
    base: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    token: () => {
      if (performance.now() - readAtMs > TOKEN_READ_EVERY_MS) {
        token = readFileSync(`${ACCOUNT_DIR}/token`, "utf8").trim();
        readAtMs = performance.now();
      }
      return token;
    },
    tls: { ca },
  };
}

/** The namespace of this pod. */
export function namespaceOfPod(): string {
  return readFileSync(`${ACCOUNT_DIR}/namespace`, "utf8").trim();
}
