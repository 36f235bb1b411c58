import { z } from "zod";
import { hookUrl } from "../hook-endpoint.ts";
import { EVENT_KINDS } from "./plan/event.ts";

const endpoint = {
  url: hookUrl,
  /** The secret that requests are signed with. */
  secretFile: z.string().min(1),
  /** One request. */
  timeoutMs: z.int().min(10).max(30_000).default(5_000),
  /** Then what it was about is given up, and lies among the dead letters. */
  attempts: z.int().min(1).max(20).default(8),
  /** After the first attempt; doubles. */
  pauseFirstMs: z.int().min(1).max(60_000).default(500),
  pauseLastMs: z.int().min(1).max(600_000).default(60_000),
  /** Of one request. */
  itemsMax: z.int().min(1).max(500).default(100),
};

export const hooksOptions = z.strictObject({
  /** Whose server is told of what happened; absent: nobody's. */
  events: z
    .strictObject({
      ...endpoint,
      kinds: z
        .array(z.enum(EVENT_KINDS))
        .min(1)
        .default([...EVENT_KINDS]),
      withText: z.boolean().default(true),
    })
    .optional(),
  /** Whose server rings devices that are not connected; absent: nobody's. */
  pushes: z.strictObject({ ...endpoint, withText: z.boolean().default(false) }).optional(),
  /** Streams that are worked on at once. */
  streamsMax: z.int().min(1).max(1_000).default(48),
  /** Users and conversations of which it is remembered for a while whether they are muted. */
  mutesRememberedMax: z.int().min(1).max(1_000_000).default(100_000),
});

export type EndpointOptions = z.output<z.ZodObject<typeof endpoint>>;
