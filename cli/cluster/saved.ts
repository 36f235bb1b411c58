/**
 * What the command line remembers of a cluster: addresses of its admin doors and access layers, and a
 * certificate. One file a kubectl context, readable by its owner alone. With it nothing is asked of the
 * API server, so a campus can be blocked while that is down.
 */
import { mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { readJson, writeJson } from "../../services/platform/paths.ts";

const address = z.strictObject({ campus: z.string(), address: z.string() });

const savedSchema = z.strictObject({
  context: z.string(),
  namespace: z.string(),
  dataCenter: z.string(),
  admin: z.array(address),
  clients: z.array(address),
  /** Clients connect with TLS. */
  clientsTls: z.boolean().default(false),
  /** PEM: the authority, the certificate for "cli", its key. */
  tls: z.strictObject({ ca: z.string(), cert: z.string(), key: z.string() }),
  savedAtMs: z.int(),
});

export type SavedCluster = z.output<typeof savedSchema>;

/** The folder of a context: what is remembered of it, and who is logged in there. */
export function contextDir(env: NodeJS.ProcessEnv, context: string): string {
  const config = env.XDG_CONFIG_HOME ?? join(homedir(), ".config");
  return join(config, "tricampus", context.replaceAll(/[^\w.@-]/g, "_"));
}

export function readSaved(dir: string): SavedCluster | undefined {
  const found = savedSchema.safeParse(readJson(join(dir, "cluster.json")));
  return found.success ? found.data : undefined;
}

export function writeSaved(dir: string, saved: SavedCluster): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeJson(join(dir, "cluster.json"), saved);
}
