/** The file that a drill's evidence is kept in, checked when it is read. */
import { z } from "zod";
import type { Evidence } from "./plan/evidence.ts";

const sample = z.strictObject({
  atMs: z.number(),
  process: z.string(),
  uptimeMs: z.number(),
  requests: z.number(),
  failures: z.number(),
  calls: z.number(),
  busyMs: z.number(),
  unready: z.string(),
});

const stop = z.strictObject({
  kind: z.enum(["failures", "quorum", "capacity", "signal", "person", "unblocked"]),
  text: z.string(),
  seenAtMs: z.number(),
});

export const evidenceSchema: z.ZodType<Evidence> = z.strictObject({
  format: z.literal(1),
  campus: z.string(),
  service: z.string(),
  who: z.string(),
  why: z.string(),
  startedAt: z.iso.datetime(),
  campuses: z.array(z.string()),
  processes: z.array(
    z.strictObject({ name: z.string(), campus: z.string(), services: z.array(z.string()) }),
  ),
  forMs: z.number(),
  busyPercentMax: z.number(),
  checks: z.array(z.strictObject({ name: z.string(), ok: z.boolean(), found: z.string() })),
  blockedAtMs: z.number().optional(),
  unblockedAtMs: z.number().optional(),
  stop: stop.optional(),
  unblockFailure: z.string().optional(),
  endedAtMs: z.number(),
  samples: z.array(sample),
});
