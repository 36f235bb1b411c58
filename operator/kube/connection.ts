/** How to reach an API server: from inside a pod by its service account, from outside by a kubeconfig. */
import { readFileSync } from "node:fs";
import { Agent as PlainAgent } from "node:http";
import { Agent as TlsAgent } from "node:https";

export interface Connection {
  /** "https://10.96.0.1:443" */
  readonly base: string;
  readonly isTls: boolean;
  /** Asked before every request: tokens are replaced while the operator runs. */
  readonly token?: () => Promise<string> | string;
  /** Requests under way at once, watches apart. */
  readonly socketsMax?: number;
  newAgent(socketsMax: number): PlainAgent;
}

const ACCOUNT_DIR = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_READ_EVERY_MS = 60_000;

/** A dead peer is noticed by the kernel some 11 s after it fell silent, whatever runs on the socket. */
const AGENT_OPTIONS = { keepAlive: true, keepAliveMsecs: 1_000 } as const;

/** Without TLS: an API double on loopback. */
export function plainConnection(base: string, socketsMax?: number): Connection {
  return {
    base,
    isTls: false,
    ...(socketsMax !== undefined && { socketsMax }),
    newAgent: (maxSockets) => new PlainAgent({ ...AGENT_OPTIONS, maxSockets }),
  };
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
    isTls: true,
    token: () => {
      if (performance.now() - readAtMs > TOKEN_READ_EVERY_MS) {
        token = readFileSync(`${ACCOUNT_DIR}/token`, "utf8").trim();
        readAtMs = performance.now();
      }
      return token;
    },
    newAgent: (maxSockets) => new TlsAgent({ ...AGENT_OPTIONS, maxSockets, ca }),
  };
}

/** The namespace of this pod. */
export function namespaceOfPod(): string {
  return readFileSync(`${ACCOUNT_DIR}/namespace`, "utf8").trim();
}
