import { z } from "zod";
import { eventsHook, pushesHook } from "../hook-schema.ts";

/** The secret that requests are signed with. */
const signed = { secretFile: z.string().min(1) };

const events = eventsHook.extend(signed);
const pushes = pushesHook.extend(signed);

export const hooksOptions = z.strictObject({
  /** Whose server is told of what happened; absent: nobody's. */
  events: events.optional(),
  /** Whose server rings devices that are not connected; absent: nobody's. */
  pushes: pushes.optional(),
  /** Streams that are worked on at once. */
  streamsMax: z.int().min(1).max(1_000).default(48),
  /** Users and conversations of which it is remembered for a while whether they are muted. */
  mutesRememberedMax: z.int().min(1).max(1_000_000).default(100_000),
});

/** What both have. */
export type EndpointOptions = z.output<typeof pushes>;
