/** Reaching an API server from outside, as kubectl does: by a kubeconfig, its context and its user. */
import type { Connection, TlsParts } from "./connection.ts";

export interface KubeconfigChoice {
  /** Default: $KUBECONFIG, else ~/.kube/config. */
  readonly path?: string | undefined;
  /** Default: the current one. */
  readonly context?: string | undefined;
}

/** The connection, and the namespace that the context names. Throws an Error of one line. */
export async function connectionByKubeconfig({
  path,
  context,
}: KubeconfigChoice): Promise<{ connection: Connection; namespace: string; context: string }> {
  // Loaded here: it is large, and nobody inside a cluster needs it.
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  if (path === undefined) config.loadFromDefault();
  else config.loadFromFile(path);
  if (context !== undefined) {
    const known = config.getContexts().map(({ name }) => name);
    if (!known.includes(context)) {
      const there = known.length === 0 ? "there are none" : `there are ${known.join(", ")}`;
      throw new Error(`the kubeconfig has no context "${context}": ${there}`);
    }
    config.setCurrentContext(context);
  }
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error("the kubeconfig names no cluster");
  const options: TlsParts & { headers?: Record<string, string> } = {};
  await config.applyToHTTPSOptions(options as never);
  const { ca, cert, key, headers, rejectUnauthorized } = options;
  const authorization = headers?.Authorization ?? headers?.authorization;
  const token = authorization?.replace(/^Bearer /, "");
  const tls = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
  };
  const connection: Connection = {
    base: cluster.server,
    ...(token !== undefined && { token: () => token }),
    tls,
  };
  const namespace = config.getContextObject(config.getCurrentContext())?.namespace ?? "default";
  return { connection, namespace, context: config.getCurrentContext() };
}
