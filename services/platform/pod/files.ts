/**
 * What a process finds in its pod: files that whoever placed it there has mounted. One image holds
 * every service; these say which of them run here, and where everybody else is.
 */
import { z } from "zod";
import { ALL_SERVICES } from "../services.ts";

/** Below this folder, each in a folder of its own so that each can be a mount of its own. */
export const POD_FILES = {
  /** What this process is: podProcessSchema. The same in all three campuses. */
  process: "process/process.json",
  /** Where everybody is: addressBookSchema. Read again when it changes. */
  addresses: "addresses/addresses.json",
  /** Limits that may change while it runs: limits-schema.ts. The file need not be there. */
  limits: "limits/limits.json",
  /** What empty folders may do: permitsSchema. Only where there are disks. */
  permits: "permits/permits.json",
  /** Public keys of tickets, `<key id>.pem`, and the secret that seals snapshots. */
  ticketKeys: "ticket-keys",
  snapshotSecret: "snapshot-secret/secret",
  /** The private key that signs tickets, `<key id>.pem`; only where accounts are. */
  ticketSigning: "ticket-signing",
  /** Hashes of API keys; only where accounts are. The file need not be there. */
  apiKeys: "api-keys/api-keys.json",
  /** ca.crt, tls.crt and tls.key, as secrets of TLS name them; without the folder connections are plain. */
  tls: "tls",
  /** The certificate that clients see: tls.crt and tls.key; only where access is. */
  clientTls: "client-tls",
  /** How to prove to the servers of engines who this is; only where they are asked. */
  natsSecret: "nats-secret",
  redisSecret: "redis-secret",
  /** credentials.json of the bucket that has the media. */
  s3Secret: "s3-secret",
  /** What requests to integrators' servers are signed with, `secret`; only where they are made. */
  beforeSendSecret: "before-send-secret",
  eventsSecret: "events-secret",
  pushesSecret: "pushes-secret",
} as const;

export const POD_FILES_DIR = "/etc/tricampus";
export const POD_DATA_DIR = "/var/lib/tricampus";

const service = z.enum(ALL_SERVICES);
const port = z.int().min(1).max(65_535);
const campusName = z.string().min(1);

export const podProcessSchema = z.strictObject({
  dc: z.int().min(0).max(255),
  campuses: z.array(campusName).length(3),
  /** "logic": the process's name is made of it, the campus and the pod's. */
  process: z.string().min(1),
  logLevel: z.string().min(1).default("info"),
  doors: z
    .array(z.strictObject({ port, services: z.array(service).min(1), grpcPort: port.optional() }))
    .min(1),
  /** Options of the services in these doors, by name. */
  options: z.record(z.string(), z.record(z.string(), z.unknown())).default({}),
  healthPort: port,
  /** Where clients connect, in the process that holds access. */
  clientPort: port.optional(),
  /** Where the platform's people come in, in the process that holds the admin door. */
  adminPort: port.optional(),
  /** The data folder is gone with the pod. */
  ephemeral: z.boolean().default(false),
  /** Without certificates: serve plain connections all the same. */
  plaintext: z.boolean().default(false),
});

export const addressBookSchema = z.strictObject({
  /** By service: the door behind which it is, the same in all campuses. */
  services: z.partialRecord(service, z.string()),
  /** By door and campus. A door may have several pods behind one address. */
  doors: z.record(
    z.string(),
    z.record(campusName, z.strictObject({ host: z.string().min(1), port })),
  ),
});

export type AddressBookFile = z.output<typeof addressBookSchema>;

export const permitsSchema = z.strictObject({
  /** Services whose empty folder may become a disk, in every campus: the group's first bootstrap. */
  bootstrap: z.array(service).default([]),
  /** Whose first disk is made already, while others' are not: an empty folder there has lost it. */
  made: z.array(z.strictObject({ service, campus: campusName })).default([]),
  /** Replicas of the store that may begin anew as new members, each once a token. */
  rebuild: z
    .array(z.strictObject({ service, campus: campusName, token: z.string().min(1) }))
    .default([]),
});

export type Permits = z.input<typeof permitsSchema>;

export type PodProcess = z.input<typeof podProcessSchema>;
