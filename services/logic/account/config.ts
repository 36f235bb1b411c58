/** Options of the account service. */
import { z } from "zod";

const DAY_MS = 24 * 3_600_000;

const devices = z.int().min(1).max(100);

const schema = z.strictObject({
  /** Which public key verifies the tickets made here. */
  keyId: z.string().min(1).max(64),
  /** PEM file; only this service is told where it is. */
  privateKeyFile: z.string().min(1),
  /** Folder of such files, `<key id>.pem`, which may change: the last one by name counts, and keyId does not. */
  privateKeysDir: z.string().min(1).optional(),
  ticketLifetimeMs: z
    .int()
    .min(1)
    .max(30 * DAY_MS)
    .default(7 * DAY_MS),
  /** How many devices of a platform a user may have logged in at once. */
  devicesMax: z
    .strictObject({
      phone: devices.default(3),
      tablet: devices.default(3),
      desktop: devices.default(3),
      web: devices.default(10),
      other: devices.default(10),
    })
    .prefault({}),
  /** Providers whose ID tokens log users in, each with its keys (JWKS) in a file or at an address. */
  oidc: z
    .array(
      z
        .strictObject({
          issuer: z.string().min(1),
          audience: z.string().min(1),
          keysFile: z.string().min(1).optional(),
          keysUrl: z.url({ protocol: /^https$/ }).optional(),
        })
        .refine((one) => (one.keysFile === undefined) !== (one.keysUrl === undefined), {
          message: "give either keysFile or keysUrl",
        }),
    )
    .max(20)
    .default([]),
  /** Hashes of the API keys that integrators' servers have; absent: there are none. */
  apiKeysFile: z.string().min(1).optional(),
  /** What one API key may ask of one campus. */
  apiRequestsPerSecond: z.number().min(1).max(100_000).default(500),
  /** How often deleted accounts are looked for, and how long after their end they are erased. */
  eraseEveryMs: z.int().min(50).max(DAY_MS).default(30_000),
  erasePauseMs: z.int().min(0).max(DAY_MS).default(60_000),
  /** Cost of one password hash; stored with each hash, so it may be raised later. */
  passwordMemoryKib: z.int().min(8).max(1_048_576).default(19_456),
  passwordPasses: z.int().min(1).max(100).default(2),
});

export type AccountConfig = z.output<typeof schema>;

export function checkAccountConfig(options: unknown): AccountConfig {
  return schema.parse(options);
}
