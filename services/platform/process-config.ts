/**
 * What one process is told, as a JSON file that its campus supervisor writes before starting it:
 * which services it runs, on which doors, and where everybody else is.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import { checkedAgainst } from "./checked.ts";
import { ALL_SERVICES } from "./services.ts";

const service = z.enum(ALL_SERVICES);
const port = z.int().min(0).max(65_535);

const doorSchema = z.strictObject({
  port,
  services: z.array(service).min(1),
  /** A second port for the same services, where callers speak gRPC. */
  grpcPort: port.optional(),
});

const schema = z.strictObject({
  name: z.string().min(1),
  dc: z.int().min(0).max(255),
  campus: z.string().min(1),
  campuses: z.array(z.string().min(1)).min(1),
  host: z.string().min(1),
  logLevel: z.string().min(1),
  doors: z.array(doorSchema).min(1),
  services: z.array(
    z.strictObject({
      name: service,
      dataDir: z.string().min(1),
      options: z.record(z.string(), z.unknown()),
    }),
  ),
  addresses: z.record(
    service,
    z.array(z.strictObject({ campus: z.string(), host: z.string(), port })),
  ),
  /** PEM files; without them connections are plain, and on loopback only. */
  tls: z
    .strictObject({
      caFile: z.string().min(1),
      certFile: z.string().min(1),
      keyFile: z.string().min(1),
    })
    .optional(),
  /** Without tls: plain connections beyond loopback, which anybody there can read and forge. */
  plaintext: z.boolean().default(false),
  /** File with the public key (PEM), by key id. */
  ticketKeyFiles: z.record(z.string(), z.string()),
  /** Instead: a folder with a public key in each <id>.pem, which may change. */
  ticketKeysDir: z.string().min(1).optional(),
  /** Limits that may change while it runs (limits-file.ts); the file need not be there. */
  limitsFile: z.string().min(1).optional(),
  /** The process's own copy of the last ones that could be used: it starts with them beside others. */
  limitsCopyFile: z.string().min(1).optional(),
  snapshotSecretFile: z.string().min(1),
  /** The process's own copy of what is blocked; it is there after the first block. */
  blocksFile: z.string().min(1),
  /** Where its monitors' points are written, second by second, for the campus's agent. */
  pointsDir: z.string().min(1).optional(),
  /** HTTP door for whoever starts and watches the process: is it alive, may it be counted on. */
  healthPort: port.optional(),
  /** The services' folders last as long as the process's place: another one begins with empty folders. */
  ephemeral: z.boolean().optional(),
});

export type ProcessConfig = z.output<typeof schema>;

export function readProcessConfig(path: string): ProcessConfig {
  return checkedAgainst(schema, JSON.parse(readFileSync(path, "utf8")), path);
}
